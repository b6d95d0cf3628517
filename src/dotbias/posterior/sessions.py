"""What samples say of sessions: of one that train knows, of a user's sessions on average, and of a new one.

A session d has a bias and factors of its own, which join the user's: b_u + b_d and P_u + D_d. So whatever is known of
the time ends in one effective user. Where the time is unknown, the effect is the average over the user's own sessions,
each weighing as many ratings as it has; of a new session it is 0, the prior's mean, moved towards the user's last
session by the share that carries over. This module knows arrays, no model.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ..times import NOW, UNKNOWN, Sessions
from .widths import KNOWN, NEW
from .widths import UNKNOWN as UNKNOWN_SESSION

EVERYONE = -1  # the user of a day that is everyone's: models of version 0.1


class SessionPosterior(NamedTuple):
    """Sessions in every sample: bias first, then factors.

    Attributes:
        sessions: which they are (D); none where the fit used no times.
        effects: (S, D, 1 + K).
        precision: (S, 1 + K) of the prior; its mean is 0.
        carry: share of the last session's effect that a new one is expected to have, 0 to 1.
    """

    sessions: Sessions
    effects: np.ndarray
    precision: np.ndarray
    carry: float

    @property
    def everyones(self) -> bool:
        """Whether these are days that all users share, as version 0.1 had them."""
        return bool(len(self.sessions.users)) and bool(self.sessions.users[0] == EVERYONE)

    def of(self, users: np.ndarray, times: np.ndarray | None) -> np.ndarray:
        """The effect for pairs of user rows (B,) and times (B,), None for unknown -> (S, B, 1 + K)."""
        users, times = np.asarray(users), _filled(times, len(users))
        at = self._find(users, times)
        out = np.where((at >= 0)[:, None], self.effects[:, np.maximum(at, 0)], np.float32(0))
        unknown = times == UNKNOWN
        if unknown.any():
            distinct, which = np.unique(users[unknown], return_inverse=True)
            out[:, unknown] = self.sessions.average(self.effects, distinct)[:, which]
        last = np.where(~unknown & (at < 0), self.sessions.last(users), -1)
        if self.carry and (last >= 0).any():
            out[:, last >= 0] = np.float32(self.carry) * self.effects[:, last[last >= 0]]
        return out

    def spread(self, users: np.ndarray, times: np.ndarray | None, squares: np.ndarray) -> np.ndarray:
        """Variance of the effect around :meth:`of`, (B,) float64: 0 where the session is known.

        ``squares`` (S, 1 + K): by what a unit of each effect's variance is multiplied in a score, on average.
        """
        users, times = np.asarray(users), _filled(times, len(users))
        at, prior = self._find(users, times), float((squares / self.precision).sum(1).mean())
        out = np.where(at >= 0, 0.0, prior)
        out[(at < 0) & (self.sessions.last(users) >= 0)] *= 1 - self.carry**2
        unknown = times == UNKNOWN
        if unknown.any():
            distinct, which = np.unique(users[unknown], return_inverse=True)
            within = np.where(self.sessions.last(distinct) >= 0, self._within(distinct, squares), prior)
            out[unknown] = within[which]
        return out

    def kinds(self, users: np.ndarray, times: np.ndarray | None) -> np.ndarray:
        """What is known of the session of each pair (B,): KNOWN, UNKNOWN or NEW; KNOWN where times are not used."""
        users, times = np.asarray(users), _filled(times, len(users))
        if not len(self.sessions.users) or self.everyones:
            return np.full(len(users), KNOWN)
        return np.where(times == UNKNOWN, UNKNOWN_SESSION, np.where(self._find(users, times) >= 0, KNOWN, NEW))

    def _find(self, users: np.ndarray, times: np.ndarray) -> np.ndarray:
        if self.everyones:
            users = np.full(len(users), EVERYONE)
        return np.where((times == UNKNOWN) | (times == NOW), -1, self.sessions.find(users, times))

    def _within(self, users: np.ndarray, squares: np.ndarray) -> np.ndarray:
        """How much each user's sessions vary (B,)."""
        total = np.zeros(len(users))
        for effect, square in zip(self.effects, squares, strict=True):
            average, of_squares = (self.sessions.average(x, users) for x in (effect, effect**2))
            total += np.maximum(of_squares - average**2, 0) @ square
        return total / len(self.effects)

    def thin(self, at: np.ndarray) -> SessionPosterior:
        """The samples ``at`` alone."""
        return self._replace(effects=self.effects[at], precision=self.precision[at])

    def arrays(self) -> dict[str, np.ndarray]:
        """What is kept on disk."""
        own = {"effects": self.effects, "precision": self.precision}
        return {f"sessions.{name}": a for name, a in (self.sessions._asdict() | own).items()}

    @classmethod
    def none(cls, S: int, K: int) -> SessionPosterior:
        """Of a fit without times: S samples of K factors."""
        return cls(Sessions.none(), np.zeros((S, 0, 1 + K), np.float32), np.ones((S, 1 + K), np.float32), 0.0)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], settings: Mapping[str, Any]) -> SessionPosterior:
        """What :meth:`arrays` keeps; or, of version 0.1, days that are everyone's."""
        if "days" in arrays:
            effects = np.concatenate([arrays["day_bias"][:, :, None], arrays["day_factors"]], 2)
            S, D, width = effects.shape
            days = Sessions(np.full(D, EVERYONE, np.int32), arrays["days"], np.ones(D, np.int32))
            return cls(days, effects, np.full((S, width), np.inf, np.float32), 0.0)
        own = {k.removeprefix("sessions."): a for k, a in arrays.items() if k.startswith("sessions.")}
        sessions = Sessions(own["users"], own["days"], own["counts"])
        return cls(sessions, own["effects"], own["precision"], float(settings["carry"]))


def _filled(times: np.ndarray | None, n: int) -> np.ndarray:
    return np.full(n, UNKNOWN) if times is None else np.atleast_1d(times)
