// What people do on the pages, step by step. Each flow gets a visit and says by visit.problem and visit.check what did not go as it should.

// keyboard goes through a page without a mouse: past the navigation by the skip link, then from stop to stop, each of them seen and in
// the order in which they are read, and follows a link of the navigation by Enter.
export async function keyboard(visit, { path, to }) {
  const { page } = visit;
  await visit.goto(path);
  await page.keyboard.press("Tab");
  const skip = await focused(page);
  visit.check(skip.href === "#main" && skip.seen, `the first stop is no skip link that can be seen: ${skip.called}`);
  await page.keyboard.press("Enter");
  await page.keyboard.press("Tab");
  visit.check(await page.evaluate(() => document.querySelector("footer, main").contains(document.activeElement) || document.querySelector("main").contains(document.activeElement)), `the skip link does not lead into the content, but to ${(await focused(page)).called}`);

  await visit.goto(path);
  const all = await page.evaluate(() => {
    const stops = [...document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex='0']")];
    return stops.filter((e) => e.checkVisibility() && !e.disabled && e.type !== "hidden" && e.tabIndex >= 0).length;
  });
  let last = -1;
  for (let n = 0; n < all; n++) {
    await page.keyboard.press("Tab");
    const at = await focused(page);
    visit.check(at.seen, `stop ${n + 1} cannot be seen: ${at.called}`);
    visit.check(at.marked, `stop ${n + 1} is not marked: ${at.called}`);
    visit.check(at.order > last, `stop ${n + 1} is out of order: ${at.called}`);
    last = at.order;
  }

  await visit.goto(path);
  for (let n = 0; n < 20 && !(await focused(page)).href?.startsWith(to); n++) await page.keyboard.press("Tab");
  await Promise.all([page.waitForURL((u) => u.pathname === to), page.keyboard.press("Enter")]);
}

// focused says what has the focus, whether it is on the screen and marked, and where it stands in the document.
function focused(page) {
  return page.evaluate(() => {
    const e = document.activeElement, box = e.getBoundingClientRect(), style = getComputedStyle(e);
    return {
      href: e.getAttribute("href"),
      called: `${e.tagName.toLowerCase()} "${(e.textContent || e.name || "").trim().slice(0, 40)}"`,
      seen: box.width > 0 && box.height > 0 && box.right > 0 && box.left < innerWidth && box.bottom > 0 && box.top < innerHeight,
      marked: (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0) || style.boxShadow !== "none",
      order: [...document.querySelectorAll("*")].indexOf(e),
    };
  });
}

// languages chooses one language after the other at the foot of a page, and finds it kept on the next page.
export async function languages(visit, { path, other, names }) {
  const { page } = visit;
  for (const [tag, name] of Object.entries(names)) {
    await visit.goto(path);
    await page.getByRole("button", { name, exact: true }).click();
    await page.waitForFunction((want) => document.documentElement.lang === want, tag);
    visit.check(new URL(page.url()).pathname === path, `the choice of ${name} led to ${page.url()}`);
    await visit.goto(other);
    visit.check((await page.getAttribute("html", "lang")) === tag, `${name} is forgotten on ${other}`);
  }
}

// plain reads pages without script: each says what it says, and its forms are there.
export async function plain(visit, { paths }) {
  for (const path of paths) {
    const answer = await visit.goto(path);
    visit.check(answer.status() === 200, `answers ${answer.status()}`);
    visit.check((await visit.page.locator("h1").innerText()).trim() !== "", "has no heading");
    visit.check((await visit.page.locator("main").innerText()).length > 80, "says next to nothing");
    visit.check(await visit.page.getByRole("button", { name: "Français" }).isVisible(), "has no choice of languages");
  }
}

// live leaves Home open while a record is written, and sees it counted without loading the page again.
export async function live(visit, { record }) {
  const { page } = visit;
  await page.clock.install();
  await visit.goto("/");
  await page.evaluate(() => (window.loadedOnce = true));
  const count = page.locator(`text=${record.resourceType}`);
  visit.check((await count.count()) === 0, `there is a ${record.resourceType} already`);
  await fetch(`${visit.origin}/fhir/R4/${record.resourceType}/${record.id}`, {
    method: "PUT", headers: { "Content-Type": "application/fhir+json" }, body: JSON.stringify(record),
  });
  for (let n = 0; n < 20 && (await count.count()) === 0; n++) {
    const answered = page.waitForResponse((r) => r.request().resourceType() === "fetch");
    await page.clock.fastForward(60_000);
    await answered;
  }
  await count.first().waitFor();
  visit.check(await page.evaluate(() => window.loadedOnce === true), "was loaded again");
}

// search asks for a record by its name and comes to its page.
export async function search(visit, { path, key }) {
  await visit.goto(path);
  await visit.page.getByRole("main").getByRole("textbox").fill(key);
  await visit.page.keyboard.press("Enter");
  await visit.page.waitForURL((u) => u.pathname.endsWith(key));
  visit.check((await visit.page.locator("h1").innerText()).includes(key), "is not headed by the record's name");
}

// resolve takes one side of a conflict and says why.
export async function resolve(visit, { path, keep, remark }) {
  const { page } = visit;
  await visit.goto(path);
  const side = page.locator("section.card").filter({ has: page.getByRole("heading", { name: keep }) }).filter({ has: page.getByRole("button") });
  await side.getByRole("textbox").fill(remark);
  await Promise.all([page.waitForResponse((r) => r.request().method() === "POST"), side.getByRole("button").click()]);
  await page.waitForLoadState();
  await visit.shoot("flow-conflict-resolved");
  visit.check((await page.getByRole("main").innerText()).includes(remark), "does not show the remark of the decision");
}

// shows finds words on a page.
export async function shows(visit, { path, words, name }) {
  await visit.goto(path);
  const text = await visit.page.getByRole("main").innerText();
  for (const w of words) visit.check(text.includes(w), `does not say ${w}`);
  await visit.shoot(name);
}
