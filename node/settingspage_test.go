package node_test

import (
	"io"
	"net/http"
	"net/url"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/tributary-sync/tributary/node"
	"github.com/tributary-sync/tributary/reconcile"
)

// page sends a form, or asks for the page where there is none.
func (f *filed) page(form url.Values) (status int, body string) {
	f.t.Helper()
	address := f.cfg.BaseURL() + "/settings"
	req, err := http.NewRequest(http.MethodGet, address, nil)
	if form != nil {
		req, err = http.NewRequest(http.MethodPost, address, strings.NewReader(form.Encode()))
	}
	if err != nil {
		f.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		f.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

// form is what a browser would send of the page as it is shown.
func (f *filed) form() url.Values {
	f.t.Helper()
	_, body := f.page(nil)
	out := url.Values{}
	for _, m := range regexp.MustCompile(`name="(basis|type)" value="([^"]*)"`).FindAllStringSubmatch(body, -1) {
		if m[1] == "type" || out.Get("basis") == "" {
			out.Add(m[1], m[2])
		}
	}
	for _, m := range regexp.MustCompile(`(?:type="hidden" name="(pull|push)" value="([^"]*)"|name="(pull|push)" value="([^"]*)" checked)`).FindAllStringSubmatch(body, -1) {
		out.Add(m[1]+m[3], m[2]+m[4])
	}
	for _, m := range regexp.MustCompile(`(?s)<select name="(policy\.[^"]*)".*?<option value="([^"]*)" selected`).FindAllStringSubmatch(body, -1) {
		out.Set(m[1], m[2])
	}
	return out
}

// The page shows what a change would do before it does it, and says at its field what cannot be.
func TestSettingsPage(t *testing.T) {
	parent := start(t, "parent", nil, node.Deps{}, nil)
	for _, id := range []string{"b1", "b2", "b3"} {
		parent.write(t, "Basic", id, "there")
	}
	child := startFiled(t, parent, "pull: {types: [{type: Patient}]}\npush: {types: [{type: Patient}]}\n", node.Deps{})
	parent.write(t, "Patient", "p", "there")
	child.await(t, "Patient", "p")

	same := child.form()
	same.Set("do", "preview")
	if status, body := child.page(same); status != http.StatusOK || !strings.Contains(body, "that is what is in force already") || strings.Contains(body, `value="apply"`) {
		t.Errorf("%d\n%s", status, body)
	}
	more := child.form()
	more.Set("new", "basic")
	more.Set("new-pull", "1")
	more.Set("do", "preview")
	status, body := child.page(more)
	if status != http.StatusOK || !strings.Contains(body, "This would fetch 3 records, about") || !strings.Contains(body, "Basic: read from the parent from now on.") ||
		child.settings().Pull.Goes("Basic") {
		t.Errorf("%d\n%s", status, body)
	}
	wrong := child.form()
	wrong.Set("new", "Pacient")
	wrong.Set("do", "apply")
	if status, body := child.page(wrong); status != http.StatusUnprocessableEntity || !strings.Contains(body, `id="wrong-new">“Pacient” is no type of record.`) {
		t.Errorf("%d\n%s", status, body)
	}
	more.Set("do", "apply")
	if status, _ := child.page(more); status != http.StatusSeeOther || !child.settings().Pull.Goes("Basic") || child.settings().Push.Goes("Basic") {
		t.Errorf("%d, %+v", status, child.settings())
	}
	child.await(t, "Basic", "b3")
	if status, body := child.page(more); status != http.StatusPreconditionFailed || !strings.Contains(body, "Somebody else changed the settings meanwhile") {
		t.Errorf("%d\n%s", status, body)
	}
	hidden := child.form()
	hidden.Del("pull")
	hidden.Set("policy.Patient", string(reconcile.Defer))
	hidden.Set("do", "apply")
	if status, body := child.page(hidden); status != http.StatusBadRequest || !strings.Contains(body, `id="wrong-Patient" lang="en" translate="no">conflicts.types.Patient: defer would hide`) {
		t.Errorf("%d\n%s", status, body)
	}
	child.save(strings.Replace(child.text(), "{type: Basic}", "{type: Flag}", 1))
	if _, body := child.page(nil); !strings.Contains(body, "changed by hand") {
		t.Error(body)
	}
	if status, _ := child.page(url.Values{"basis": {child.settings().Basis}, "do": {"file"}}); status != http.StatusSeeOther || !child.settings().Pull.Goes("Flag") || child.settings().Differs {
		t.Errorf("%d, %+v", status, child.settings())
	}
	if rows := child.settingsAudit(t); len(rows) != 2 || rows[0].Peer != "dashboard" {
		t.Errorf("%+v", rows)
	}
}

// A node without a parent has no choice of what goes to one, and choosing a rule there leaves what is written of it as it is.
func TestSettingsPageWithoutAParent(t *testing.T) {
	top := startFiled(t, nil, "pull: {types: [{type: Patient}]}\n", node.Deps{})
	top.write(t, "Patient", "p", "here")
	if _, body := top.page(nil); strings.Contains(body, `type="checkbox"`) || strings.Contains(body, `name="new"`) || !strings.Contains(body, `<select name="policy.Patient"`) {
		t.Errorf("%s", body)
	}
	before := top.settings()
	form := top.form()
	form.Set("policy.Patient", string(reconcile.Defer))
	form.Set("do", "apply")
	status, body := top.page(form)
	if now := top.settings(); status != http.StatusSeeOther || now.Conflicts.Types["Patient"] != reconcile.Defer || !reflect.DeepEqual([]any{now.Pull, now.Push}, []any{before.Pull, before.Push}) {
		t.Errorf("%d, %+v\n%s", status, now, body)
	}
}
