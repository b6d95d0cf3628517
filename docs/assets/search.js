// Search for pages opened from disk (file://), where mkdocs' own worker may not run: a substring search over the same
// index, which docs/hooks.py writes as a script. Served over http, this does nothing.
(function () {
  "use strict";
  if (location.protocol !== "file:") return;
  var box = document.getElementById("mkdocs-search-results");
  if (!box) return;
  var query = new URLSearchParams(location.search).get("q") || "";
  var words = query.toLowerCase().split(/\s+/).filter(Boolean);
  var field = document.getElementById("mkdocs-search-query");
  if (field) field.value = query;

  function score(doc) {
    var title = doc.title.toLowerCase(), text = doc.text.toLowerCase(), sum = 0;
    for (var k = 0; k < words.length; k++) {
      var hits = text.split(words[k]).length - 1;
      var inTitle = title.indexOf(words[k]) >= 0;
      if (!hits && !inTitle) return 0;
      sum += Math.min(hits, 5) + (inTitle ? 20 : 0);
    }
    return sum;
  }

  function excerpt(text) {
    var at = Math.max(text.toLowerCase().indexOf(words[0]) - 80, 0);
    return (at ? "… " : "") + text.slice(at, at + 240) + (text.length > at + 240 ? " …" : "");
  }

  function show() {
    var found = window.DOTBIAS_INDEX.map(function (doc) { return [score(doc), doc]; })
      .filter(function (pair) { return pair[0] > 0; })
      .sort(function (a, b) { return b[0] - a[0]; });
    // An entry without # is a whole page: leave it out where a section of it was found.
    var inSections = {};
    found.forEach(function (pair) {
      var at = pair[1].location.indexOf("#");
      if (at >= 0) inSections[pair[1].location.slice(0, at)] = true;
    });
    found = found.filter(function (pair) { return !inSections[pair[1].location]; }).slice(0, 40);
    box.textContent = "";
    if (!found.length) box.textContent = "Nothing found for “" + query + "”.";
    found.forEach(function (pair) {
      var article = document.createElement("article"), link = document.createElement("a"), p = document.createElement("p");
      link.href = pair[1].location;
      link.textContent = pair[1].title;
      p.textContent = excerpt(pair[1].text);
      article.appendChild(document.createElement("h3")).appendChild(link);
      article.appendChild(p);
      box.appendChild(article);
    });
  }

  if (!words.length) return;
  var script = document.createElement("script");
  script.src = "search/index_for_files.js";
  script.onload = show;
  document.head.appendChild(script);
})();
