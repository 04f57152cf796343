package api

import "net/http"

// fhirBases are the addresses of the FHIR API; the second is the alias that links in an OpenMRS feed use (DESIGN.md section 6).
func fhirBases() []string { return []string{"/fhir/R4", "/ws/fhir2/R4"} }

type route struct {
	pattern string
	handler handler
	need    access
}

// Register mounts everything that this package answers.
func (s *Server) Register(mux *http.ServeMux) {
	routes := []route{
		{"GET /healthz", s.healthz, forAnyone},
		{"GET /readyz", s.readyz, forAnyone},
		{"GET /metrics", s.serveMetrics, forOperators},
	}
	for _, base := range fhirBases() {
		routes = append(routes, []route{
			{"GET " + base + "/metadata", s.fhirMetadata, forRecords},
			{"POST " + base, s.fhirBundle, forApps},
			{"POST " + base + "/{$}", s.fhirBundle, forApps},
			{"GET " + base + "/_history", s.fhirHistories, forRecords},
			{"GET " + base + "/{type}/_history", s.fhirHistories, forRecords},
			{"GET " + base + "/{type}", s.fhirSearch, forRecords},
			{"POST " + base + "/{type}/_search", s.fhirSearch, forRecords},
			{"POST " + base + "/{type}", s.fhirCreate, forApps},
			{"GET " + base + "/{type}/{id}", s.fhirRead, forRecords},
			{"PUT " + base + "/{type}/{id}", s.fhirUpdate, forApps},
			{"PATCH " + base + "/{type}/{id}", s.fhirPatch, forApps},
			{"DELETE " + base + "/{type}/{id}", s.fhirDelete, forApps},
			{"PUT " + base + "/{type}", s.fhirConditionalUpdate, forApps},
			{"PATCH " + base + "/{type}", s.fhirConditionalPatch, forApps},
			{"DELETE " + base + "/{type}", s.fhirConditionalDelete, forApps},
			{"DELETE " + base + "/{type}/{$}", s.fhirConditionalDelete, forApps},
			{"GET " + base + "/Patient/{id}/$everything", s.fhirEverything, forRecords},
			{"POST " + base + "/Patient/{id}/$everything", s.fhirEverything, forRecords},
			{"GET " + base + "/{type}/{id}/_history", s.fhirHistory, forRecords},
			{"GET " + base + "/{type}/{id}/_history/{version}", s.fhirVersion, forRecords},

			{base, allow("POST"), forRecords},
			{base + "/{$}", allow("POST"), forRecords},
			{base + "/{type}", allow("GET, HEAD, POST, PUT, PATCH, DELETE"), forRecords},
			{base + "/{type}/{id}", allow("GET, HEAD, PUT, PATCH, DELETE"), forRecords},
			{base + "/Patient/{id}/$everything", allow("GET, HEAD, POST"), forRecords},
			{base + "/{type}/{id}/_history", allow("GET, HEAD"), forRecords},
			{base + "/{type}/{id}/_history/{version}", allow("GET, HEAD"), forRecords},
			{base + "/", fhirUnknown, forRecords},
		}...)
	}
	for _, r := range routes {
		mux.Handle(r.pattern, s.handle(r.handler, r.need))
	}
	s.registerSync(mux)     // GET /sync/node, GET and POST /sync/changes, POST /sync/fetch, GET /sync/knowledge, POST /sync/catchup
	s.registerREST(mux)     // /rest/v1/{resource}/{uuid} and its alias
	s.registerAtom(mux)     // GET /ws/atomfeed/{category}/{page}
	s.registerFeedSync(mux) // GET /ws/feedsync/{type}
	s.registerControl(mux)  // /control/v1/...
}
