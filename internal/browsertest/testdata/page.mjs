// What has to hold on every page.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const maxBytes = 60_000;

// page opens a page as anybody would and checks all that a page can get wrong by itself.
export async function page(visit, { path, name, status = 200 }) {
  visit.expected = status;
  const weight = await weigh(visit);
  const answer = await visit.goto(path);
  visit.check(answer.status() === status, `answers ${answer.status()}`);
  visit.check(weight.bytes <= maxBytes, `weighs ${weight.bytes} bytes with all that it loads`);
  await fits(visit);
  await fitsAt(visit);
  const sentences = await speaks(visit);
  await accessible(visit);
  await visit.shoot(name);
  return { bytes: weight.bytes, sentences };
}

// weigh counts the bytes that come over the wire from now on, headers included.
async function weigh(visit) {
  const sum = { bytes: 0 };
  const session = await visit.context.newCDPSession(visit.page);
  await session.send("Network.enable");
  session.on("Network.loadingFinished", (e) => (sum.bytes += e.encodedDataLength));
  return sum;
}

// fits notes what is wider than the screen and does not scroll by itself (WCAG 2.2, 1.4.10), what sticks out of its card, and what is
// squeezed into a column of letters.
export async function fits(visit) {
  const wide = await visit.page.evaluate(() => {
    const scrolls = (e) => e && e !== document.body && (["auto", "scroll"].includes(getComputedStyle(e).overflowX) || scrolls(e.parentElement));
    const clipped = (e) => e && (getComputedStyle(e).clipPath !== "none" || clipped(e.parentElement)); // for those who listen
    const hidden = (e) => e.getBoundingClientRect().width <= 1 || getComputedStyle(e).visibility === "hidden" || clipped(e);
    const called = (e) => `${e.tagName.toLowerCase()}.${e.className.baseVal ?? e.className} "${e.textContent.trim().slice(0, 40)}"`;
    const out = [];
    if (document.documentElement.scrollWidth > innerWidth) out.push(`the page is ${document.documentElement.scrollWidth} wide`);
    for (const e of document.querySelectorAll("body *")) {
      if (scrolls(e) || hidden(e) || e.ownerSVGElement && e.tagName !== "text") continue;
      const edge = Math.min(innerWidth, e.closest(".card")?.getBoundingClientRect().right ?? innerWidth);
      if (e.getBoundingClientRect().right > edge + 0.5) out.push(called(e));
    }
    for (const e of document.querySelectorAll("td, th, dd, dt")) {
      const box = e.getBoundingClientRect(), size = parseFloat(getComputedStyle(e).fontSize);
      if (!hidden(e) && box.width < 4 * size && box.height > 4 * 1.5 * size) out.push(`squeezed: ${called(e)}`);
    }
    return out.slice(0, 5).map((w) => `${w} at ${innerWidth}`);
  });
  for (const w of wide) visit.problem(`does not fit: ${w}`);
}

// fitsAt tries a narrower screen: the smallest telephone, and a desk at 200 %, which is half as wide for the page.
async function fitsAt(visit) {
  const { width, height } = visit.options.viewport;
  await visit.page.setViewportSize({ width: width < 400 ? 320 : width / 2, height });
  await fits(visit);
  await visit.page.setViewportSize({ width, height });
}

// speaks notes a page that is not in the language that was asked for, and what was not filled into its texts. It returns what the page
// says in its own language: texts of several words, without those that are marked as names or as of another language.
async function speaks(visit) {
  const lang = await visit.page.getAttribute("html", "lang");
  visit.check(lang === visit.options.locale, `is in ${lang}, asked for ${visit.options.locale}`);
  const texts = await visit.page.evaluate(() => {
    const out = [], walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walk.nextNode()) {
      const of = walk.currentNode.parentElement;
      if (!of.closest("script, noscript, style, [translate=no], body [lang]")) out.push(walk.currentNode.data.trim().replace(/\s+/g, " "));
    }
    for (const e of document.querySelectorAll("[aria-label], [placeholder], [title], [data-label]")) {
      if (e.closest("[translate=no], body [lang]")) continue;
      for (const name of ["aria-label", "placeholder", "title", "data-label"]) if (e.hasAttribute(name)) out.push(e.getAttribute(name));
    }
    return [...new Set(out)];
  });
  const hole = texts.find((t) => /\{[a-z_]+\}|%!|<no value>|\b(undefined|NaN|null)\b/.test(t));
  visit.check(!hole, `has a hole in "${hole}"`);
  return texts.filter((t) => /\p{L}{2,}[^\p{L}]+\p{L}{2,}[^\p{L}]+\p{L}{2,}/u.test(t));
}

// accessible notes what axe finds by the rules of WCAG 2.2 AA and its own best practices, minor things as well.
export async function accessible(visit) {
  await visit.page.evaluate(axe);
  const { violations } = await visit.page.evaluate(() =>
    window.axe.run(document, {
      runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
      resultTypes: ["violations"],
    }),
  );
  for (const v of violations) {
    visit.problem(`axe, ${v.impact}: ${v.id}: ${v.help} (${v.nodes.length}): ${v.nodes.slice(0, 2).map(where).join("; ")}`);
  }
}

const where = (n) => `${n.target.join(" ")}: ${n.any[0]?.message ?? n.html}`;
