"""Colours and formats by name: one colour, one meaning, in every sheet. This module knows no sheet."""

from __future__ import annotations

from typing import Any

# One colour, one meaning, in every sheet (the lesson's: ratings blue, predictions purple, loss red, items green,
# users orange); what a person may change is yellow.
COLOURS = {
    "rating": ("#DDEBF7", "a rating that somebody gave"),
    "score": ("#E4DFEC", "the model's prediction"),
    "item": ("#E2EFDA", "an item's factors and bias"),
    "user": ("#FCE4D6", "a user's factors and bias"),
    "loss": ("#F4B6B6", "the loss: how wrong the predictions are"),
    "gradient": ("#EDEDED", "a gradient, or a direction made of gradients"),
    "input": ("#FFF2CC", "yours to change: a number or a drop-down"),
    "test": ("#FFD966", "a rating kept for testing: never trained on"),
}

PLAIN: dict[str, Any] = {"valign": "vcenter"}
STYLES: dict[str, dict[str, Any]] = {
    "title": {"bold": True, "font_size": 16, "font_color": "#1F3864"},
    "lead": {"font_color": "#595959", "italic": True},
    "wrap_line": {"text_wrap": True, "valign": "top", "top": 1, "top_color": "#BFBFBF"},
    "wrap": {"text_wrap": True, "valign": "top"},
    "head": {"bold": True, "align": "center", "text_wrap": True, "bottom": 1, "bottom_color": "#808080"},
    "band": {"bold": True, "font_color": "#FFFFFF", "bg_color": "#1F3864"},
    "band_right": {"bold": True, "font_color": "#FFFFFF", "bg_color": "#1F3864", "align": "right"},
    "turned": {"rotation": 90, "align": "center", "valign": "bottom", "font_size": 8, "text_wrap": True},
    "wrong": {"num_format": "0.00", "bg_color": "#FBE3E3"},
    "train": {"num_format": "0.0000", "bg_color": "#FBE3E3"},
    "tested": {"num_format": "0.0000", "align": "right", "bg_color": "#FFE9A8"},
    "label": {"align": "right", "font_color": "#404040"},
    "label_left": {"align": "left", "font_color": "#404040"},
    "link": {"font_color": "#0563C1", "underline": 1, "bold": True, "valign": "top"},
    "plain": {"num_format": "0.00"},
    "pale": {"num_format": "General", "align": "center", "font_size": 8, "font_color": "#808080"},
    "words": {"font_color": "#1F3864", "bold": True},
    "input_small": {"bg_color": "#FFF2CC", "num_format": "0.0", "font_size": 9, "align": "center"},
    "result_whole": {"num_format": "0", "bold": True, "align": "center", "border": 1, "border_color": "#7030A0"},
    "pale_number": {"num_format": "0.0000", "font_color": "#808080", "font_size": 8},
    "used": {"num_format": "0.0###", "align": "center", "font_size": 9, "border": 1, "border_color": "#BFBFBF"},
    "head_small": {"align": "center", "text_wrap": True, "font_size": 8, "valign": "bottom"},
    "warning": {"font_color": "#C00000", "bold": True},
    "whole": {"num_format": "0"},
    "long": {"num_format": "0.0000"},
    "part": {"num_format": '[=1]"train";[=2]"test";"·"', "align": "center", "font_size": 8},
    "one_hot": {"num_format": "0", "align": "center", "bg_color": COLOURS["user"][0]},
    "centre": {"num_format": "0", "align": "center"},
}
for _name, (_colour, _) in COLOURS.items():
    _digits = {"rating": "0.0##", "loss": "0.0000", "input": "General"}.get(_name, "0.00")
    STYLES[_name] = {"bg_color": _colour, "num_format": _digits}
for _name in ("item", "user", "gradient", "rating", "score", "plain", "whole", "wrong"):
    STYLES[_name]["font_size"] = 9
STYLES["loss"] |= {"align": "center", "bold": True, "border": 1, "border_color": "#C00000"}
STYLES["input"] |= {"border": 1, "border_color": "#BF9000", "align": "center", "font_color": "#1F3864"}
STYLES["input_number"] = STYLES["input"] | {"num_format": "0.0000"}
STYLES["rating"] |= {"align": "center"}
STYLES["score"] |= {"align": "center"}
STYLES["result"] = STYLES["score"] | {"bold": True, "border": 1, "border_color": "#7030A0", "font_size": 11}
