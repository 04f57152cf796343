// The records and Bundles that all client scripts write. The mark keeps the records of one script apart from those of the others.

export const patient = (mark, given) => ({
  resourceType: 'Patient',
  identifier: [{ system: 'urn:peertest', value: `${mark}-${given}` }],
  name: [{ family: `Peer${mark}`, given: [given] }],
  gender: 'female',
  birthDate: '1987-02-20',
});

export const weight = (subject, kg) => ({
  resourceType: 'Observation',
  status: 'final',
  code: { coding: [{ system: 'http://loinc.org', code: '29463-7' }] },
  subject: { reference: subject },
  valueQuantity: { value: kg, unit: 'kg', system: 'http://unitsofmeasure.org', code: 'kg' },
});

// batch has three entries with a fate each: a create, a read that finds, a read that does not.
export const batch = (mark, known) => ({
  resourceType: 'Bundle',
  type: 'batch',
  entry: [
    { resource: patient(mark, 'Batch'), request: { method: 'POST', url: 'Patient' } },
    { request: { method: 'GET', url: `Patient/${known}` } },
    { request: { method: 'GET', url: `Patient/none-${mark}` } },
  ],
});

const mother = 'urn:uuid:5f6b1f0c-7a4b-4b1c-9d53-2f7b8f0f2a11';

// transaction has a patient and an observation that refers to it by its urn.
export const transaction = (mark) => ({
  resourceType: 'Bundle',
  type: 'transaction',
  entry: [
    { fullUrl: mother, resource: patient(mark, 'Transaction'), request: { method: 'POST', url: 'Patient' } },
    { fullUrl: 'urn:uuid:0a3c2f34-6c52-4c7e-8f7c-1c8d1c1d9b22', resource: weight(mother, 61.5), request: { method: 'POST', url: 'Observation' } },
  ],
});

// brokenTransaction has a good entry and one that cannot be carried out: nothing of it may stay.
export const brokenTransaction = (mark, known) => ({
  resourceType: 'Bundle',
  type: 'transaction',
  entry: [
    { resource: patient(mark, 'Never'), request: { method: 'POST', url: 'Patient' } },
    {
      resource: { ...patient(mark, 'Never'), id: known },
      request: { method: 'PUT', url: `Patient/${known}`, ifMatch: 'W/"no-such-version"' },
    },
  ],
});

export const statusesOf = (bundle) => bundle.entry.map((e) => e.response.status.slice(0, 3));

// idAt is the id in a location such as Patient/1/_history/2, with or without the base before it.
export const idAt = (location) => /(?:^|\/)[A-Z][A-Za-z]+\/([A-Za-z0-9.-]{1,64})\/_history\//.exec(location)[1];
