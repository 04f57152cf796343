// A day with MedplumClient of @medplum/core (Apache-2.0): node medplum-client.mjs BASE
import { MedplumClient } from '@medplum/core';
import { base, end, equal, ok, refused, step } from './check.mjs';
import { batch, brokenTransaction, idAt, patient, statusesOf, transaction, weight } from './records.mjs';

const mark = 'Plum';
const { origin, pathname } = new URL(base);
const client = new MedplumClient({ baseUrl: `${origin}/`, fhirUrlPath: `${pathname.slice(1)}/`, fetch, cacheTime: 0 });
const namesOf = (resources) => resources.map((r) => r.name[0].given[0]);
const codeOf = (e) => e.outcome?.issue?.[0]?.code;
let first, second, patched;

await step('capabilities', async () => {
  const statement = await client.get(client.fhirUrl('metadata'));
  equal([statement.resourceType, statement.fhirVersion], ['CapabilityStatement', '4.0.1'], 'type and version');
  ok(statement.rest[0].resource.length > 100, 'the types of R4');
});

await step('create', async () => {
  first = await client.createResource(patient(mark, 'First'));
  ok(first.id && first.meta.versionId, 'id and version of the answer');
});

await step('read', async () => {
  equal(await client.readResource('Patient', first.id), first, 'what was created');
  equal(codeOf(await refused(() => client.readResource('Patient', 'nobody'), 'a read of nobody')), 'not-found', 'code of nobody');
}, { after: ['create'] });

await step('update with If-Match', async () => {
  const options = { headers: { 'If-Match': `W/"${first.meta.versionId}"` } };
  second = await client.updateResource({ ...first, gender: 'other' }, options);
  equal(second.gender, 'other', 'what was updated');
  const e = await refused(() => client.updateResource({ ...first, gender: 'male' }, options), 'an old If-Match');
  ok(e.outcome?.resourceType === 'OperationOutcome', 'what the refusal says');
  equal((await client.readResource('Patient', first.id)).gender, 'other', 'what stands after the refusal');
  const again = await client.updateResource(second);
  equal(again.id, first.id, 'an update that changes nothing');
}, { after: ['create'] });

await step('patch', async () => {
  patched = await client.patchResource('Patient', first.id, [
    { op: 'test', path: '/gender', value: 'other' },
    { op: 'copy', from: '/birthDate', path: '/deceasedDateTime' },
    { op: 'move', from: '/name/0/given/0', path: '/name/0/text' },
  ]);
  equal([patched.deceasedDateTime, patched.name[0].text], ['1987-02-20', 'First'], 'what was patched');
  await refused(() => client.patchResource('Patient', first.id, [{ op: 'remove', path: '/photo/0' }]), 'a patch of what is not there');
}, { after: ['update with If-Match'] });

await step('history', async () => {
  const history = await client.readHistory('Patient', first.id);
  equal(history.entry.map((e) => e.resource.meta.versionId), [patched, second, first].map((r) => r.meta.versionId), 'versions, newest first');
  equal((await client.readHistory('Patient', first.id, { count: 2 })).entry.length, 2, 'entries with _count=2');
}, { after: ['patch'] });

await step('vread', async () => {
  equal(await client.readVersion('Patient', first.id, first.meta.versionId), first, 'the first version');
}, { after: ['create'] });

await step('search', async () => {
  for (const given of ['Ann', 'Bea', 'Cat', 'Dot']) await client.createResource(patient(mark, given));
  equal(namesOf(await client.searchResources('Patient', { family: `Peer${mark}`, given: 'Ann' })), ['Ann'], 'who is found');
  const one = await client.searchOne('Patient', `identifier=urn:peertest|${mark}-Bea`);
  equal(namesOf([one]), ['Bea'], 'the first that is found');
  equal(await client.searchOne('Patient', 'identifier=urn:peertest|nobody'), undefined, 'the first where nobody is found');
  const bundle = await client.search('Patient', { family: `Peer${mark}`, _summary: 'count' });
  equal([bundle.total, bundle.entry], [5, undefined], 'total and entries of a count');
}, { after: ['create', 'patch'] });

await step('paging', async () => {
  const seen = [];
  let pages = 0;
  const query = { family: `Peer${mark}`, birthdate: '1987-02-20', 'given:missing': 'false', _sort: '_lastUpdated', _count: '2' };
  for await (const page of client.searchResourcePages('Patient', query)) {
    seen.push(...namesOf(page));
    pages++;
  }
  equal([seen, pages], [['Ann', 'Bea', 'Cat', 'Dot'], 2], 'who is found, and in how many pages');
}, { after: ['search'] });

await step('batch', async () => {
  equal(statusesOf(await client.executeBatch(batch(mark, first.id))), ['201', '200', '404'], 'statuses');
}, { after: ['create'] });

await step('transaction', async () => {
  const answer = await client.executeBatch(transaction(mark));
  equal(statusesOf(answer), ['201', '201'], 'statuses');
  const [mother, observation] = answer.entry.map((e) => idAt(e.response.location));
  equal((await client.readResource('Observation', observation)).subject.reference, `Patient/${mother}`, 'the reference');
  const everything = await client.readPatientEverything(mother);
  ok(everything.entry.some((e) => e.resource.id === observation), 'the observation is in $everything of its patient');
  await refused(() => client.executeBatch(brokenTransaction(mark, first.id)), 'a transaction with a failing entry');
  equal(await client.searchOne('Patient', `identifier=urn:peertest|${mark}-Never`), undefined, 'what a refused transaction left behind');
}, { after: ['create'] });

await step('conditional writes', async () => {
  const query = `identifier=urn:peertest|${mark}-First`;
  equal((await client.createResourceIfNoneExist(patient(mark, 'First'), query)).id, first.id, 'the one that exists');
  const upserted = await client.upsertResource({ ...patient(mark, 'First'), active: true }, query);
  equal([upserted.id, upserted.active], [first.id, true], 'the one that was updated');
  const created = await client.upsertResource(patient(mark, 'New'), `identifier=urn:peertest|${mark}-New`);
  equal(namesOf([created]), ['New'], 'the one that was created');
}, { after: ['create'] });

await step('references', async () => {
  const observation = await client.createResource(weight(`Patient/${first.id}`, 3.25));
  equal((await client.readReference(observation.subject)).id, first.id, 'what the reference names');
}, { after: ['create'] });

await step('delete', async () => {
  await client.deleteResource('Patient', first.id);
  equal(codeOf(await refused(() => client.readResource('Patient', first.id), 'a read of the deleted')), 'deleted', 'code of the deleted');
}, { after: ['create'] });

end();
