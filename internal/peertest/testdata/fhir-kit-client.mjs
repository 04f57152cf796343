// A day with fhir-kit-client (MIT): node fhir-kit-client.mjs BASE
import { CapabilityTool, Client } from 'fhir-kit-client';
import { base, end, equal, ok, refused, step } from './check.mjs';
import { batch, brokenTransaction, idAt, patient, statusesOf, transaction, weight } from './records.mjs';

const mark = 'Kit';
const client = new Client({ baseUrl: base });
const headersOf = (resource) => Client.httpFor(resource).response.headers;
const statusOf = (resource) => Client.httpFor(resource).response.status;
const Patient = { resourceType: 'Patient' };
let first, second, patched;

await step('capabilities', async () => {
  const statement = await client.capabilityStatement();
  equal(statement.resourceType, 'CapabilityStatement', 'type');
  const tool = new CapabilityTool(statement);
  for (const i of ['transaction', 'batch', 'history-system']) ok(tool.serverCan(i), `the server can ${i}`);
  for (const i of ['read', 'vread', 'update', 'patch', 'delete', 'history-instance', 'history-type', 'create', 'search-type']) {
    ok(tool.resourceCan('Patient', i), `Patient can ${i}`);
  }
  for (const p of ['name', 'birthdate', 'identifier', '_id', '_lastUpdated']) ok(tool.resourceSearch('Patient', p), `Patient is found by ${p}`);
  ok(tool.supportFor({ resourceType: 'Patient', capabilityType: 'conditionalCreate' }), 'conditional create is told of');
  equal(tool.resourceCan('Nonsense', 'read'), false, 'an unknown type can be read');
});

await step('create', async () => {
  first = await client.create({ ...Patient, body: patient(mark, 'First') });
  equal(statusOf(first), 201, 'status');
  ok(first.id && first.meta.versionId && first.meta.lastUpdated, 'id, version and time of the answer');
  equal(headersOf(first).get('etag'), `W/"${first.meta.versionId}"`, 'ETag');
  equal(headersOf(first).get('location'), `${base}/Patient/${first.id}/_history/${first.meta.versionId}`, 'Location');
});

await step('read', async () => {
  const read = await client.read({ ...Patient, id: first.id });
  equal(read, first, 'what was created');
  const conditional = await refused(
    () => client.read({ ...Patient, id: first.id, options: { headers: { 'If-None-Match': headersOf(read).get('etag') } } }),
    'a conditional read',
  );
  equal(conditional.response.status, 304, 'status with If-None-Match');
  equal((await refused(() => client.read({ ...Patient, id: 'nobody' }), 'a read of nobody')).response.status, 404, 'status of nobody');
}, { after: ['create'] });

await step('update with If-Match', async () => {
  const options = { headers: { 'If-Match': headersOf(first).get('etag') } };
  second = await client.update({ ...Patient, id: first.id, body: { ...first, gender: 'other' }, options });
  equal(statusOf(second), 200, 'status');
  ok(second.meta.versionId !== first.meta.versionId, 'a new version');
  const e = await refused(() => client.update({ ...Patient, id: first.id, body: { ...first, gender: 'male' }, options }), 'an old If-Match');
  equal(e.response.status, 412, 'status of an old If-Match');
  equal(e.response.data.resourceType, 'OperationOutcome', 'what the refusal says');
}, { after: ['create'] });

await step('patch', async () => {
  const jsonPatch = [{ op: 'replace', path: '/birthDate', value: '1987-02-21' }, { op: 'add', path: '/name/0/given/-', value: 'Patched' }];
  patched = await client.patch({ ...Patient, id: first.id, jsonPatch });
  equal([patched.birthDate, patched.name[0].given], ['1987-02-21', ['First', 'Patched']], 'what was patched');
  const bad = [{ op: 'test', path: '/gender', value: 'male' }, { op: 'remove', path: '/name' }];
  const e = await refused(() => client.patch({ ...Patient, id: first.id, jsonPatch: bad }), 'a patch whose test fails');
  ok([409, 412, 422].includes(e.response.status), `status of a patch whose test fails, ${e.response.status}`);
  equal((await client.read({ ...Patient, id: first.id })).name, patched.name, 'the name after a refused patch');
}, { after: ['update with If-Match'] });

await step('history', async () => {
  const history = await client.history({ ...Patient, id: first.id });
  equal(history.type, 'history', 'type');
  ok(history.entry.every((e) => ['PATCH', 'PUT', 'POST'].includes(e.request.method)), 'each entry has the method that wrote it');
  equal(history.entry.map((e) => e.resource.meta.versionId), [patched, second, first].map((r) => r.meta.versionId), 'versions, newest first');
  const ofType = await client.history({ ...Patient });
  ok(ofType.entry.some((e) => e.resource?.id === first.id), 'the patient is in the history of its type');
  const ofSystem = await client.history();
  ok(ofSystem.entry.some((e) => e.resource?.id === first.id), 'the patient is in the history of the system');
}, { after: ['patch'] });

await step('vread', async () => {
  equal(await client.vread({ ...Patient, id: first.id, version: first.meta.versionId }), first, 'the first version');
  const e = await refused(() => client.vread({ ...Patient, id: first.id, version: 'no-such-version' }), 'a version that is not there');
  equal(e.response.status, 404, 'status of a version that is not there');
}, { after: ['update with If-Match'] });

await step('search', async () => {
  for (const given of ['Ann', 'Bea', 'Cat', 'Dot']) await client.create({ ...Patient, body: patient(mark, given) });
  const searchParams = { family: `peer${mark}`, given: 'ann', birthdate: 'ge1987' };
  const found = await client.resourceSearch({ ...Patient, searchParams });
  equal(found.entry.map((e) => e.resource.name[0].given[0]), ['Ann'], 'who is found');
  equal(found.entry[0].search.mode, 'match', 'mode');
  equal(found.entry[0].fullUrl, `${base}/Patient/${found.entry[0].resource.id}`, 'fullUrl');
  const posted = await client.resourceSearch({ ...Patient, searchParams, options: { postSearch: true } });
  equal(posted.entry.map((e) => e.resource.id), found.entry.map((e) => e.resource.id), 'the same by POST');
  const none = await client.resourceSearch({ ...Patient, searchParams: { family: 'Nobody' } });
  equal([none.total, none.entry], [0, undefined], 'total and entries where nobody is found');
}, { after: ['create'] });

await step('paging', async () => {
  let page = await client.resourceSearch({ ...Patient, searchParams: { family: `Peer${mark}`, _count: 2, _sort: '_id' } });
  const seen = [], ids = [];
  for (; page; page = await client.nextPage({ bundle: page })) {
    ok(page.entry.length <= 2, `a page has 2 at most, not ${page.entry.length}`);
    seen.push(...page.entry.map((e) => e.resource.name[0].given[0]));
    ids.push(...page.entry.map((e) => e.resource.id));
  }
  equal(seen.sort(), ['Ann', 'Bea', 'Cat', 'Dot', 'First'], 'who is found, each once');
  equal(ids, ids.toSorted(), 'the order');
}, { after: ['search'] });

await step('batch', async () => {
  const answer = await client.batch({ body: batch(mark, first.id) });
  equal(answer.type, 'batch-response', 'type');
  equal(statusesOf(answer), ['201', '200', '404'], 'statuses');
  equal(answer.entry[2].response.outcome.resourceType, 'OperationOutcome', 'why one failed');
}, { after: ['create'] });

await step('transaction', async () => {
  const answer = await client.transaction({ body: transaction(mark) });
  equal(answer.type, 'transaction-response', 'type');
  equal(statusesOf(answer), ['201', '201'], 'statuses');
  const [mother, observation] = answer.entry.map((e) => idAt(e.response.location));
  equal((await client.read({ resourceType: 'Observation', id: observation })).subject.reference, `Patient/${mother}`, 'the reference');
  const included = await client.resourceSearch({
    resourceType: 'Observation', searchParams: { subject: `Patient/${mother}`, _include: 'Observation:subject' },
  });
  equal(included.entry.map((e) => [e.resource.id, e.search.mode]).sort(), [[mother, 'include'], [observation, 'match']].sort(), 'with _include');
  await refused(() => client.transaction({ body: brokenTransaction(mark, first.id) }), 'a transaction with a failing entry');
  const never = await client.resourceSearch({ ...Patient, searchParams: { identifier: `urn:peertest|${mark}-Never` } });
  equal(never.total, 0, 'records that a refused transaction left behind');
}, { after: ['create'] });

await step('conditional writes', async () => {
  const searchParams = { identifier: `urn:peertest|${mark}-First` };
  const options = { headers: { 'If-None-Exist': new URLSearchParams(searchParams).toString() } };
  const same = await client.create({ ...Patient, body: patient(mark, 'First'), options });
  equal(same.id, first.id, 'the one that exists');
  const updated = await client.update({ ...Patient, searchParams, body: { ...patient(mark, 'First'), active: true } });
  equal([updated.id, updated.active], [first.id, true], 'the one that was updated');
}, { after: ['patch'] });

await step('references', async () => {
  const observation = await client.create({ resourceType: 'Observation', body: weight(`Patient/${first.id}`, 1.5) });
  const resolved = await client.resolve({ reference: observation.subject.reference });
  equal(resolved.id, first.id, 'what the reference names');
}, { after: ['create'] });

await step('delete', async () => {
  await client.delete({ ...Patient, id: first.id });
  equal((await refused(() => client.read({ ...Patient, id: first.id }), 'a read of the deleted')).response.status, 410, 'status of the deleted');
  const history = await client.history({ ...Patient, id: first.id });
  equal([history.entry[0].request.method, history.entry[0].resource], ['DELETE', undefined], 'the newest entry');
  equal((await client.vread({ ...Patient, id: first.id, version: first.meta.versionId })).id, first.id, 'a version before the deletion');
  await client.delete({ ...Patient, id: first.id });
  equal((await client.resourceSearch({ ...Patient, searchParams: { _id: first.id } })).total, 0, 'how many are found');
}, { after: ['create'] });

end();
