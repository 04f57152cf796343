// A visit is one person at one screen: a fresh profile with a language, a colour scheme and a width. It notes whatever goes wrong on
// the way, on every page: an error in the console (a breach of the content security policy is one), a request to elsewhere, an answer
// that failed.
import { join } from "node:path";

const heights = { 360: 740, 640: 800, 1280: 900 };

export class Visit {
  problems = [];

  constructor(browser, { origin, lang = "en", scheme = "light", width = 1280, script = true, zoom = 1 }) {
    this.browser = browser;
    this.origin = origin;
    this.options = {
      locale: lang,
      colorScheme: scheme,
      viewport: { width: width / zoom, height: Math.round((heights[width] ?? 900) / zoom) },
      deviceScaleFactor: zoom,
      javaScriptEnabled: script,
      reducedMotion: "reduce",
      acceptDownloads: true,
    };
  }

  async open() {
    this.context = await this.browser.newContext(this.options);
    this.context.setDefaultTimeout(20_000);
    this.page = await this.context.newPage();
    this.page.on("console", (m) => {
      const told = this.expected >= 400 && m.text().includes(`status of ${this.expected}`); // the page that was asked for
      if (["error", "warning"].includes(m.type()) && !told) this.problem(`console: ${m.text()}`);
    });
    this.page.on("pageerror", (e) => this.problem(`script: ${e.message}`));
    this.page.on("request", (r) => {
      if (new URL(r.url()).origin !== this.origin) this.problem(`asks elsewhere: ${r.url()}`);
    });
    this.page.on("response", (r) => {
      if (r.status() >= 400 && r.status() !== this.expected) this.problem(`${r.status()} from ${r.url()}`);
    });
  }

  async close() {
    await this.context?.close();
  }

  problem(text) {
    this.problems.push(`${new URL(this.page?.url() ?? "about:blank").pathname}: ${text}`);
  }

  // check notes a problem unless it holds.
  check(holds, text) {
    if (!holds) this.problem(text);
  }

  async goto(path) {
    return this.page.goto(this.origin + path, { waitUntil: "load" });
  }

  // shoot keeps a picture of the whole page.
  async shoot(name, fullPage = true) {
    await this.page.screenshot({ path: join(process.env.SCREENSHOTS, `${name}.png`), fullPage });
  }
}
