// What people do on the pages, step by step. Each flow gets a visit and says by visit.problem and visit.check what did not go as it should.
import { readFileSync } from "node:fs";

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
  const reached = new Set();
  let last = -1;
  for (let n = 1; n < 500; n++) {
    await page.keyboard.press("Tab");
    const at = await focused(page);
    if (at.end) break;
    reached.add(at.order);
    visit.check(at.seen, `stop ${n} cannot be seen: ${at.called}`);
    visit.check(at.marked, `stop ${n} is not marked: ${at.called}`);
    visit.check(at.order >= last, `stop ${n} is out of order: ${at.called}`); // the parts of a date are stops of one element
    last = at.order;
  }
  const missed = await page.evaluate((reached) => {
    const all = [...document.querySelectorAll("*")];
    const stops = all.filter((e) => e.matches("a[href], button, input, select, textarea, summary, [tabindex='0']"));
    return stops.filter((e) => e.checkVisibility() && !e.disabled && e.type !== "hidden" && !reached.includes(all.indexOf(e)))
      .filter((e) => e.type !== "radio" || !document.querySelector(`[name="${e.name}"]:checked`) && e === document.querySelector(`[name="${e.name}"]`)) // one of a group
      .map((e) => e.outerHTML.slice(0, 80));
  }, [...reached]);
  visit.check(missed.length === 0, `no way by keyboard to ${missed.slice(0, 3).join(", ")}`);

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
      end: e === document.body,
      marked: e.type === "datetime-local" || (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0) || style.boxShadow !== "none",
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
export async function resolve(visit, { path, keep, remark, name }) {
  const { page } = visit;
  await visit.goto(path);
  const form = page.locator("form").filter({ has: page.getByRole("button", { name: keep }) });
  await form.getByRole("textbox").fill(remark);
  await posted(page, form.getByRole("button", { name: keep }));
  await visit.shoot(name);
  visit.check((await page.getByRole("main").innerText()).includes(remark), "does not show the reason of the decision");
}

// merge puts both sides of a conflict together: each field from a side, or with a value of its own.
export async function merge(visit, { path, take, remark, name }) {
  const { page } = visit;
  await visit.goto(path);
  for (const [field, choice] of Object.entries(take)) {
    const set = page.getByRole("group").filter({ has: page.locator("legend", { hasText: field }) });
    if (choice.own === undefined) await set.locator(`input[type=radio][value=${choice.side}]`).check();
    else {
      await set.locator("input[type=radio][value=own]").check();
      await set.getByRole("textbox").fill(choice.own);
    }
  }
  const form = page.locator("form#merge");
  await form.getByLabel(/^Why/).fill(remark);
  await visit.shoot(`${name}-chosen`);
  await posted(page, form.getByRole("button", { name: "Save this as the record" }));
  await visit.shoot(name);
  visit.check((await page.getByRole("main").innerText()).includes(remark), "does not show the reason of the decision");
}

// byRule sees what a rule would make of the open conflicts of a type, and then has it decide them.
export async function byRule(visit, { path, rule, type, would, remark, did, name }) {
  const { page } = visit;
  const says = async (text) => visit.check((await page.getByRole("main").innerText()).includes(text), `does not say ${text}`);
  await visit.goto(path);
  await page.locator("select[name=rule]").selectOption(rule);
  await page.locator("input[name=type]").fill(type);
  await page.getByRole("button", { name: "See what it would do" }).click();
  await page.waitForURL((u) => u.searchParams.get("rule") === rule);
  for (const text of would) await says(text);
  await visit.shoot(`${name}-preview`);
  await page.getByLabel(/^Why/).fill(remark);
  await posted(page, page.getByRole("button", { name: "Decide them like this" }));
  for (const text of did) await says(text);
  await visit.shoot(`${name}-done`);
}

// posted presses a button that sends a form, and waits for the page that follows.
async function posted(page, button) {
  const [answer] = await Promise.all([page.waitForResponse((r) => r.request().method() === "POST"), button.click()]);
  if (answer.status() >= 400) throw new Error(`the form is answered by ${answer.status()}`);
  await page.waitForLoadState();
}

// press presses a button of a page, after filling what stands beside it.
export async function press(visit, { path, button, fill, words, name }) {
  const { page } = visit;
  await visit.goto(path);
  for (const [label, text] of Object.entries(fill ?? {})) await page.getByRole("main").getByLabel(label).fill(text);
  await posted(page, page.getByRole("main").getByRole("button", { name: button, exact: true }));
  const text = await page.getByRole("main").innerText();
  for (const w of words) visit.check(text.includes(w), `does not say ${w}`);
  await visit.shoot(name);
}

// audit filters what happened by the form, follows a row to its page and that to its pass, and takes the filtered rows along as files.
export async function audit(visit, { path, type, outcome, rows, cause }) {
  const { page } = visit;
  await visit.goto(path);
  await page.getByLabel("Type of record").fill(type);
  await page.locator("select[name=outcome]").selectOption(outcome);
  await page.getByRole("button", { name: "Show" }).click();
  await page.waitForURL((u) => u.searchParams.get("type") === type && u.searchParams.get("outcome") === outcome);
  const found = page.locator("table.rows tbody tr");
  visit.check((await found.count()) === rows, `shows ${await found.count()} rows instead of ${rows}`);
  for (const text of await found.allInnerTexts()) visit.check(text.includes(`${type}/`), `shows ${text}`);
  await visit.shoot("flow-audit-filtered");
  for (const [link, read] of [["CSV", csv], ["NDJSON", ndjson]]) {
    const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("link", { name: link }).click()]);
    const list = read(readFileSync(await download.path(), "utf8"));
    visit.check(list.length === rows && list.every((r) => r.includes(type)), `${download.suggestedFilename()} has ${list.length} rows instead of ${rows}`);
  }
  await found.first().getByRole("link").first().click();
  await page.waitForURL((u) => /^\/audit\/\d+$/.test(u.pathname));
  visit.check((await page.getByRole("main").innerText()).includes(cause), `does not give the cause: ${cause}`);
  await page.locator("main a[href^='/runs/']").first().click();
  await page.waitForURL((u) => u.pathname.startsWith("/runs/"));
  visit.check((await page.locator("table.rows tbody tr").count()) > 0, "has no rows of the pass");
}

const csv = (text) => text.trim().split(/\r?\n/).slice(1);
const ndjson = (text) => text.trim().split("\n").map((l) => JSON.stringify(JSON.parse(l)));

// settings stops sending records of a type and has another sent by another interface: first what that would do, then it is done.
export async function settings(visit, { path, type, other, client, would, done }) {
  const { page } = visit;
  await visit.goto(path);
  await page.locator("input[name=new]").fill(type);
  await page.locator("input[name=new-pull]").check();
  await page.locator("input[name=new-push]").uncheck();
  await page.getByText("By which interface").first().click();
  await page.locator(`select[name="push-by.${other}"]`).selectOption(client);
  await posted(page, page.getByRole("button", { name: "Show what this would do" }));
  const text = await page.locator("section.preview").innerText();
  for (const w of would) visit.check(text.includes(w), `does not say ${w}`);
  await visit.shoot("flow-settings-preview");
  await posted(page, page.getByRole("button", { name: "Change it now" }));
  visit.check((await page.getByRole("main").innerText()).includes(done), `does not say ${done}`);
  await visit.shoot("flow-settings-done");
}

// shows finds words on a page.
export async function shows(visit, { path, words, name }) {
  await visit.goto(path);
  const text = await visit.page.getByRole("main").innerText();
  for (const w of words) visit.check(text.includes(w), `does not say ${w}`);
  await visit.shoot(name);
}
