// A day with fhirclient, the SMART on FHIR client (Apache-2.0): node fhirclient.mjs BASE
import { createRequire } from 'node:module';
import { base, end, equal, ok, refused, step } from './check.mjs';
import { batch, brokenTransaction, idAt, patient, statusesOf, transaction, weight } from './records.mjs';

const require = createRequire(import.meta.url);
const { FhirClient } = require('fhirclient');
const { fetchConformanceStatement, getPatientParam } = require('fhirclient/lib/lib.js');

const mark = 'Smart';
const client = new FhirClient(base);
const post = (body) => client.fhirRequest('', { method: 'POST', body: JSON.stringify(body), headers: { 'content-type': 'application/fhir+json' } });
const namesOf = (resources) => resources.map((r) => r.name[0].given[0]);
let first, second, patched;

await step('capabilities', async () => {
  equal(await client.getFhirVersion(), '4.0.1', 'version');
  equal(await client.getFhirRelease(), 4, 'release');
  const statement = await fetchConformanceStatement(base);
  equal(getPatientParam(statement, 'Patient'), '_id', 'the parameter of the patient of a Patient');
  for (const type of ['Observation', 'Condition', 'Encounter', 'MedicationRequest', 'Immunization']) {
    ok(['patient', 'subject'].includes(getPatientParam(statement, type)), `the parameter of the patient of ${type}`);
  }
});

await step('create', async () => {
  const { body, response } = await client.create(patient(mark, 'First'), { includeResponse: true });
  first = body;
  equal(response.status, 201, 'status');
  ok(first.id && first.meta.versionId, 'id and version of the answer');
  const quiet = await client.create(patient(mark, 'Quiet'), { headers: { prefer: 'return=minimal' } });
  equal(quiet.name, patient(mark, 'Quiet').name, 'what stands at the Location of a create that answers nothing');
});

await step('read', async () => {
  const { body, response } = await client.fhirRequest(`Patient/${first.id}`, { includeResponse: true });
  equal(body, first, 'what was created');
  equal(response.headers.get('etag'), `W/"${first.meta.versionId}"`, 'ETag');
  const e = await refused(() => client.fhirRequest('Patient/nobody'), 'a read of nobody');
  equal(e.status ?? e.statusCode, 404, 'status of nobody');
}, { after: ['create'] });

await step('update with If-Match', async () => {
  const headers = { 'if-match': `W/"${first.meta.versionId}"` };
  second = await client.update({ ...first, gender: 'other' }, { headers });
  equal(second.gender, 'other', 'what was updated');
  ok(second.meta.versionId !== first.meta.versionId, 'a new version');
  const e = await refused(() => client.update({ ...first, gender: 'male' }, { headers }), 'an old If-Match');
  equal(e.status ?? e.statusCode, 412, 'status of an old If-Match');
}, { after: ['create'] });

await step('patch', async () => {
  const at = `Patient/${first.id}`;
  patched = await client.patch(at, [{ op: 'replace', path: '/birthDate', value: '1987-02-21' }, { op: 'remove', path: '/gender' }]);
  equal([patched.birthDate, patched.gender], ['1987-02-21', undefined], 'what was patched');
  const headers = { 'if-match': `W/"${first.meta.versionId}"` };
  const e = await refused(() => client.patch(at, [{ op: 'remove', path: '/name' }], { headers }), 'a patch with an old If-Match');
  equal(e.status ?? e.statusCode, 412, 'status of a patch with an old If-Match');
}, { after: ['update with If-Match'] });

await step('history', async () => {
  const history = await client.fhirRequest(`Patient/${first.id}/_history`);
  ok(history.entry.every((e) => ['PATCH', 'PUT', 'POST'].includes(e.request.method)), 'each entry has the method that wrote it');
  equal(history.entry.map((e) => e.resource.meta.versionId), [patched, second, first].map((r) => r.meta.versionId), 'versions, newest first');
  const seen = [];
  for await (const page of client.pages(`Patient/${first.id}/_history?_count=1`)) seen.push(...page.entry.map((e) => e.resource.meta.versionId));
  equal(seen, history.entry.map((e) => e.resource.meta.versionId), 'the same in pages of one');
}, { after: ['patch'] });

await step('vread', async () => {
  equal(await client.fhirRequest(`Patient/${first.id}/_history/${first.meta.versionId}`), first, 'the first version');
}, { after: ['create'] });

await step('search', async () => {
  for (const given of ['Ann', 'Bea', 'Cat', 'Dot']) await client.create(patient(mark, given));
  const found = await client.fhirRequest(`Patient?family=Peer${mark}&given=ANN`);
  equal([found.type, namesOf(found.entry.map((e) => e.resource))], ['searchset', ['Ann']], 'who is found');
}, { after: ['create'] });

await step('paging', async () => {
  const query = `Patient?family=Peer${mark}&gender=female&_sort=-_id&_count=2`;
  const pages = [];
  for await (const page of client.pages(query)) pages.push(page);
  ok(pages.every((p) => p.entry.length <= 2), 'a page has 2 at most');
  const found = pages.flatMap((p) => p.entry.map((e) => e.resource));
  equal(namesOf(found).sort(), ['Ann', 'Bea', 'Cat', 'Dot', 'Quiet'], 'who is found, each once');
  equal(found.map((r) => r.id), found.map((r) => r.id).sort().reverse(), 'the order');
  const resources = [];
  for await (const r of client.resources(query)) resources.push(r);
  equal(resources, found, 'the same one by one');
}, { after: ['search', 'patch'] });

await step('batch', async () => {
  equal(statusesOf(await post(batch(mark, first.id))), ['201', '200', '404'], 'statuses');
}, { after: ['create'] });

await step('transaction', async () => {
  const answer = await post(transaction(mark));
  equal(statusesOf(answer), ['201', '201'], 'statuses');
  const [mother, observation] = answer.entry.map((e) => idAt(e.response.location));
  equal((await client.fhirRequest(`Observation/${observation}`)).subject.reference, `Patient/${mother}`, 'the reference');
  const e = await refused(() => post(brokenTransaction(mark, first.id)), 'a transaction with a failing entry');
  equal(e.status ?? e.statusCode, 412, 'status of a transaction with a failing entry');
  equal((await client.fhirRequest(`Patient?identifier=urn:peertest|${mark}-Never`)).total, 0, 'records that a refused transaction left behind');
}, { after: ['create'] });

await step('references', async () => {
  const observation = await client.create(weight(`Patient/${first.id}`, 3.25));
  const resolved = await client.getReferences(observation, ['subject']);
  equal(resolved[`Patient/${first.id}`].id, first.id, 'what the reference names');
}, { after: ['create'] });

await step('delete', async () => {
  await client.delete(`Patient/${first.id}`);
  const e = await refused(() => client.fhirRequest(`Patient/${first.id}`), 'a read of the deleted');
  equal(e.status ?? e.statusCode, 410, 'status of the deleted');
  const history = await client.fhirRequest(`Patient/${first.id}/_history`);
  equal([history.entry[0].request.method, history.entry[0].resource], ['DELETE', undefined], 'the newest entry');
}, { after: ['create'] });

end();
