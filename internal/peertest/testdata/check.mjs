// What the client scripts share: named steps that print one line each. A script goes on after a failed step, so that one run
// shows all that is wrong, and exits with 1 at its end.
import { isDeepStrictEqual } from 'node:util';

let failed = 0;
const skipped = new Set();

// step runs one step; the steps that it names in after must have passed, else it says that it was not run.
export async function step(name, run, { after = [] } = {}) {
  const missing = after.filter((n) => skipped.has(n));
  if (missing.length) {
    failed++;
    skipped.add(name);
    console.log(`not run  ${name}: it stands on ${missing.join(', ')}`);
    return;
  }
  try {
    await run();
    console.log(`ok       ${name}`);
  } catch (e) {
    failed++;
    skipped.add(name);
    console.log(`FAILED   ${name}: ${describe(e)}`);
  }
}

// describe is an error with what the server said, wherever the client keeps it.
function describe(e) {
  const said = e?.response?.data ?? e?.outcome ?? e?.body;
  return `${e?.message ?? e}${said ? ` (the server said: ${JSON.stringify(said)})` : ''}`;
}

export function equal(got, want, what) {
  if (!isDeepStrictEqual(got, want)) throw new Error(`${what}: got ${JSON.stringify(got)}, want ${JSON.stringify(want)}`);
}

export function ok(value, what) {
  if (!value) throw new Error(`${what}: got ${JSON.stringify(value)}`);
}

// refused runs what has to fail, and returns the error.
export async function refused(run, what) {
  try {
    await run();
  } catch (e) {
    return e;
  }
  throw new Error(`${what}: it was not refused`);
}

export function end() {
  console.log(failed ? `${failed} of the steps did not pass` : 'all steps passed');
  process.exit(failed ? 1 : 0);
}

// base is the address of the FHIR API that the test hands over.
export const base = process.argv[2];
