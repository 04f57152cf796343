// Renews the parts of a page that changed (elements with data-live and an id) and the words of its times. A page works without it.
(function () {
  "use strict";
  var root = document.documentElement, every = Number(root.dataset.every) * 1000;
  var ahead = Number(root.dataset.now) - Date.now(); // the node's clock against this one
  var tag = "", wait = every, timer = 0, last = Date.now();

  // ago renews "3 min ago" in all times, as the node would word it.
  function ago() {
    var form;
    try { form = new Intl.RelativeTimeFormat(root.lang, { style: "short" }); } catch (e) { return; }
    document.querySelectorAll("time[data-ago]").forEach(function (t) {
      var s = Math.round((Date.parse(t.dateTime) - Date.now() - ahead) / 1000), a = Math.abs(s), words;
      if (a < 5) return;
      if (a < 90) words = form.format(s, "second");
      else if (a < 5400) words = form.format(Math.trunc(s / 60), "minute");
      else if (a < 129600) words = form.format(Math.trunc(s / 3600), "hour");
      else words = form.format(Math.trunc(s / 86400), "day");
      var first = t.firstChild;
      if (first && first.nodeType === 3 && first.data.trim() !== words) first.data = words + (t.children.length ? " " : "");
    });
  }

  // plain is what a part says, without the words that pass with time.
  function plain(el) {
    var copy = el.cloneNode(true);
    copy.querySelectorAll("time[data-ago]").forEach(function (t) { t.textContent = ""; });
    return copy.innerHTML;
  }

  // way says where an element stands in a part, so that it can be found again in its successor.
  function way(part, el) {
    for (var path = []; el !== part; el = el.parentNode) path.unshift(Array.prototype.indexOf.call(el.parentNode.children, el));
    return path;
  }

  function renew(part, next) {
    if (part.tagName !== next.tagName || plain(part) === plain(next)) return;
    var at = document.activeElement, inside = part !== at && part.contains(at);
    if (inside && /^(INPUT|SELECT|TEXTAREA)$/.test(at.tagName)) return; // somebody writes here
    var path = inside && way(part, at), href = inside && at.getAttribute("href"), open = [], scrolled = [];
    part.querySelectorAll("details[id]").forEach(function (d) { open.push([d.id, d.open]); });
    part.querySelectorAll(".scroll").forEach(function (s, i) { scrolled[i] = [s.scrollLeft, s.scrollTop]; });
    part.className = next.className;
    part.replaceChildren.apply(part, Array.prototype.map.call(next.childNodes, function (n) { return document.importNode(n, true); }));
    open.forEach(function (o) { var d = document.getElementById(o[0]); if (d) d.open = o[1]; });
    part.querySelectorAll(".scroll").forEach(function (s, i) { if (scrolled[i]) { s.scrollLeft = scrolled[i][0]; s.scrollTop = scrolled[i][1]; } });
    if (!inside) return;
    var found = href && Array.prototype.find.call(part.querySelectorAll("a"), function (a) { return a.getAttribute("href") === href; });
    if (!found) found = path.reduce(function (el, i) { return el && el.children[i]; }, part);
    if (found) found.focus({ preventScroll: true });
  }

  function take(html) {
    var page = new DOMParser().parseFromString(html, "text/html");
    document.title = page.title;
    ahead = Number(page.documentElement.dataset.now) - Date.now();
    document.querySelectorAll("[data-live][id]").forEach(function (part) {
      var next = page.getElementById(part.id);
      if (next) renew(part, next);
    });
  }

  // stale says that what is shown may be old, because the node does not answer.
  function stale(is) {
    var note = document.querySelector(".stale");
    if (note) note.hidden = !is;
  }

  function ask() {
    var began = Date.now(), stop = new AbortController(), late = setTimeout(function () { stop.abort(); }, 60000);
    last = began;
    fetch(location.href, { cache: "no-store", signal: stop.signal, headers: tag ? { "If-None-Match": tag } : {} }).then(function (r) {
      if (r.status === 401 || r.status === 403) { every = 0; return; }
      if (r.status !== 304 && !r.ok) throw new Error(r.status);
      return (r.status === 304 ? Promise.resolve("") : r.text()).then(function (html) {
        tag = r.headers.get("ETag") || tag;
        if (html) take(html);
        wait = Math.max(every, 10 * (Date.now() - began)); // at most a tenth of a slow link
        stale(false);
      });
    }).catch(function () {
      wait = Math.min(2 * Math.max(wait, every), 600000);
      stale(true);
    }).then(function () {
      clearTimeout(late);
      ago();
      plan();
    });
  }

  function plan() {
    clearTimeout(timer);
    if (every && !document.hidden) timer = setTimeout(ask, Math.max(1000, last + wait - Date.now()));
  }

  document.addEventListener("visibilitychange", function () { ago(); plan(); });
  window.addEventListener("online", function () { wait = every; plan(); });
  if (navigator.connection && navigator.connection.saveData) { every *= 4; wait = every; }
  setInterval(function () { if (!document.hidden) ago(); }, 15000);
  if (every && window.fetch && window.DOMParser) plan();
})();
