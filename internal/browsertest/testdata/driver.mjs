// Drives one Chromium for the Go test that started it: each line of standard input is a step to take, as JSON; each is answered
// by one line with the problems it found. The end of the input ends the browser.
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";
import * as flows from "./flows.mjs";
import { page } from "./page.mjs";
import { Visit } from "./visit.mjs";

const steps = { page, ...flows };
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM,
  args: ["--disable-gpu", "--disable-quic", "--font-render-hinting=none"],
  chromiumSandbox: false,
});

for await (const line of createInterface({ input: process.stdin })) {
  const { step, look, args } = JSON.parse(line);
  const visit = new Visit(browser, look);
  let result = {};
  try {
    await visit.open();
    result = (await steps[step](visit, args)) ?? {};
  } catch (e) {
    visit.problem(`${step}: ${e.message}`);
    await visit.shoot(`failed-${step}`).catch(() => {});
  }
  await visit.close();
  process.stdout.write(JSON.stringify({ problems: visit.problems, result }) + "\n");
}
await browser.close();
