package web

import (
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/tributary-sync/tributary/control"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/reconcile"
	"github.com/tributary-sync/tributary/syncerr"
	"github.com/tributary-sync/tributary/web/messages"
)

// maxSettings bounds the form of the settings in bytes: a row for each type that FHIR has.
const maxSettings = 128 << 10

// allTypes stands for the types that have no row of their own.
const allTypes = "*"

type settingsPage struct {
	page
	S        control.Settings
	Lead     string
	Notice   *notice
	Differs  bool
	Fixed    bool
	Rows     []settingsRow
	New      newType
	Names    []string // that may be added
	Preview  *settingsPreview
	Ways     []wayRow // which client moves a type, nil without a parent
	Chosen   bool     // a type has a client of its own
	Beside   []besideRow
	Problems []string // as the program words them
	Vars     []template.HTML
}

// notice says above the form how things stand.
type notice struct {
	Class string
	Text  template.HTML
}

// settingsRow is a type in the form.
type settingsRow struct {
	Type, Name     string
	Others         bool
	Pulled, Pushed bool
	Here           string
	Policies       []option
	Problem        string
}

// wayRow says which client moves a type.
type wayRow struct {
	Type, Name string
	Others     bool
	Pull, Push []option
}

// besideRow says what goes between the node and a server beside it.
type besideRow struct {
	Name           string
	Pulled, Pushed []template.HTML
}

// newType is the row in which a type is added.
type newType struct {
	Name           string
	Pulled, Pushed bool
	Problem        string
}

type settingsPreview struct {
	Changes, Warnings []string
	Effects           []template.HTML
	Volumes           []volume
}

// volume is how much one direction would move.
type volume struct {
	Text  template.HTML
	Types []volumeRow
}

type volumeRow struct{ Type, Number, Bytes string }

func (w *Web) settings(out http.ResponseWriter, r *http.Request) error {
	s, err := w.ctl.Settings(r.Context())
	if err != nil {
		return err
	}
	p, err := w.settingsPage(r, s)
	if err != nil {
		return err
	}
	if r.URL.Query().Has("done") {
		p.Notice = &notice{Class: classOK, Text: p.h("settings.done")}
	}
	w.show(out, http.StatusOK, "settings", p)
	return nil
}

// settingsPage is the form with what is in force.
func (w *Web) settingsPage(r *http.Request, s control.Settings) (settingsPage, error) {
	base, err := w.peered(r.Context(), w.page(r, "settings.title", "/settings"))
	if err != nil {
		return settingsPage{}, err
	}
	p := settingsPage{page: base, S: s, Fixed: s.Fixed != nil}
	p.Back = "/settings"
	switch {
	case s.Parent == "":
		p.Lead = p.t("settings.no_parent")
	default:
		p.Lead = p.t("settings.lead", "parent", p.peer(p.parentURL, "who.parent"))
	}
	if s.Fixed != nil {
		p.Notice = &notice{Class: classWarn, Text: p.said(*s.Fixed)}
	} else if s.Differs {
		p.Differs, p.Notice = true, &notice{Class: classWarn, Text: p.h("settings.differs")}
	}
	for _, v := range s.Variables {
		p.Vars = append(p.Vars, p.h("settings.variable", "setting", code(v.Setting), "variable", code(v.Name)))
	}
	for _, t := range s.Types {
		p.Rows = append(p.Rows, p.settingsRow(t))
	}
	p.Rows = append(p.Rows, p.settingsRow(s.Others))
	if s.Parent != "" {
		for _, t := range append(slices.Clone(s.Types), s.Others) {
			p.addWay(t.Type, t.PullClient, t.PushClient)
		}
	}
	for _, b := range s.Servers {
		p.Beside = append(p.Beside, besideRow{b.Name, p.moved(b.Pulled), p.moved(b.Pushed)})
	}
	for _, t := range fhir.Types() {
		if !slices.ContainsFunc(s.Types, func(k control.TypeSync) bool { return k.Type == t }) {
			p.Names = append(p.Names, t)
		}
	}
	return p, nil
}

// addWay adds the row in which a person chooses which client moves a type.
func (p *settingsPage) addWay(resourceType string, pull, push control.Client) {
	row := wayRow{Type: resourceType, Name: resourceType, Others: resourceType == allTypes}
	if row.Others {
		row.Name = p.t("settings.others")
	}
	clients := func(chosen control.Client) []option {
		var out []option
		if row.Others {
			chosen = control.Client(or(string(chosen), string(usualClient())))
		} else {
			out = append(out, option{"", p.t("settings.as_others"), chosen == ""})
		}
		for _, c := range control.Clients() {
			out = append(out, option{string(c), p.t("settings.client." + string(c)), c == chosen})
		}
		return out
	}
	row.Pull, row.Push = clients(pull), clients(push)
	p.Ways = append(p.Ways, row)
	p.Chosen = p.Chosen || pull != "" || push != ""
}

func (p page) moved(list []control.Moved) []template.HTML {
	var out []template.HTML
	for _, m := range list {
		out = append(out, p.h("settings.moved_by", "type", code(m.Type), "client", p.either("settings.client."+string(m.Client), string(m.Client))))
	}
	return out
}

func code(s string) template.HTML {
	return template.HTML(`<code translate="no">` + template.HTMLEscapeString(s) + `</code>`) //nolint:gosec // escaped
}

func (p page) settingsRow(t control.TypeSync) settingsRow {
	row := settingsRow{Type: t.Type, Name: t.Type, Others: t.Type == allTypes, Pulled: t.Pulled, Pushed: t.Pushed, Here: p.say.Number(t.Here)}
	if row.Others {
		row.Name, row.Here = p.t("settings.others"), ""
	}
	chosen := t.Policy
	if !row.Others {
		if !t.Own {
			chosen = ""
		}
		row.Policies = append(row.Policies, option{"", p.t("settings.as_others"), chosen == ""})
	}
	names := []reconcile.Policy{reconcile.Merging, reconcile.Merging + "," + reconcile.LastWriterWins}
	for _, name := range reconcile.PolicyNames() {
		if name != reconcile.Merging {
			names = append(names, name)
		}
	}
	if chosen != "" && !slices.Contains(names, chosen) {
		names = append(names, chosen)
	}
	for _, name := range names {
		row.Policies = append(row.Policies, option{string(name), p.policy(name), name == chosen})
	}
	return row
}

// policy says in words by what a conflict is decided.
func (p page) policy(name reconcile.Policy) string {
	first, rest, _ := strings.Cut(string(name), ",")
	text := p.either("settings.policy."+first, first)
	if rest != "" {
		text = p.t("settings.then", "first", text, "then", p.policy(reconcile.Policy(rest)))
	}
	return text
}

// changeSettings shows what the form would do, or does it.
func (w *Web) changeSettings(out http.ResponseWriter, r *http.Request) error {
	r.Body = http.MaxBytesReader(out, r.Body, maxSettings)
	if err := r.ParseForm(); err != nil {
		return syncerr.New(syncerr.Invalid, "change settings", "the form cannot be read: %w", err)
	}
	s, err := w.ctl.Settings(r.Context())
	if err != nil {
		return err
	}
	form := r.PostForm
	do := form.Get("do")
	if do == "file" {
		return w.applied(out, r, s, control.SettingsChange{Basis: form.Get("basis"), File: true}, nil)
	}
	p, err := w.settingsPage(r, s)
	if err != nil {
		return err
	}
	p.fill(form)
	if p.New.Problem != "" {
		w.show(out, http.StatusUnprocessableEntity, "settings", p)
		return nil
	}
	change := changeOf(s, form)
	if do == "apply" {
		return w.applied(out, r, s, change, form)
	}
	preview, err := w.ctl.PreviewSettings(r.Context(), change)
	if err != nil {
		return w.refused(out, r, s, form, err)
	}
	p.Preview = p.previewOf(preview)
	w.show(out, http.StatusOK, "settings", p)
	return nil
}

// applied changes the settings, and leads to them as they are then.
func (w *Web) applied(out http.ResponseWriter, r *http.Request, s control.Settings, change control.SettingsChange, form url.Values) error {
	if _, err := w.ctl.As("dashboard").ChangeSettings(r.Context(), change); err != nil {
		return w.refused(out, r, s, form, err)
	}
	http.Redirect(out, r, "/settings?done=1", http.StatusSeeOther)
	return nil
}

// refused shows the form again with what is wrong, each at its place.
func (w *Web) refused(out http.ResponseWriter, r *http.Request, s control.Settings, form url.Values, err error) error {
	kind := syncerr.KindOf(err)
	p, perr := w.settingsPage(r, s)
	if perr != nil {
		return perr
	}
	switch kind {
	case syncerr.Precondition:
		p.Notice = &notice{Class: classWarn, Text: p.h("settings.moved")}
	case syncerr.Usage, syncerr.Invalid, syncerr.Conflict, syncerr.Denied, syncerr.Unsupported, syncerr.StorageFull:
		if form != nil {
			p.fill(form)
		}
		p.Notice = &notice{Class: classBad, Text: p.h("settings.refused")}
		for _, one := range parts(err) {
			p.place(one)
		}
	default:
		return err
	}
	w.show(out, kind.HTTPStatus(), "settings", p)
	return nil
}

// parts returns the errors that one was joined of.
func parts(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var out []error
		for _, e := range joined.Unwrap() {
			out = append(out, parts(e)...)
		}
		return out
	}
	return []error{err}
}

// place puts a problem beside the row that it is about, else above the form.
func (p *settingsPage) place(err error) {
	var known *syncerr.Error
	about := ""
	if errors.As(err, &known) {
		about = known.Op
	}
	for i, row := range p.Rows {
		if about == "conflicts.types."+row.Type || row.Others && about == "conflicts.default" {
			p.Rows[i].Problem = err.Error()
			return
		}
	}
	p.Problems = append(p.Problems, err.Error())
}

// fill puts what was sent into the form.
func (p *settingsPage) fill(form url.Values) {
	for i, row := range p.Rows {
		if !slices.Contains(form["type"], row.Type) {
			continue // it came since the form was shown
		}
		p.Rows[i].Pulled, p.Rows[i].Pushed = slices.Contains(form["pull"], row.Type), slices.Contains(form["push"], row.Type)
		chosen := form.Get("policy." + row.Type)
		for j, o := range row.Policies {
			p.Rows[i].Policies[j].Chosen = o.Value == chosen
		}
	}
	ways := p.Ways
	p.Ways = nil
	for _, row := range ways {
		p.addWay(row.Type, clientOf(form, "pull-by", row.Type), clientOf(form, "push-by", row.Type))
	}
	p.New = newType{Name: strings.TrimSpace(form.Get("new")), Pulled: form.Get("new-pull") != "", Pushed: form.Get("new-push") != ""}
	if like, ok := fhir.CanonicalType(p.New.Name); ok {
		p.New.Name = like
	}
	if name := p.New.Name; name != "" && !fhir.IsKind(name) {
		p.New.Problem = p.t("settings.no_type", "name", name)
	}
}

// changeOf returns what a form wants.
func changeOf(s control.Settings, form url.Values) control.SettingsChange {
	pulled, pushed := map[string]bool{}, map[string]bool{}
	policies := map[string]reconcile.Policy{}
	for t, policy := range s.Conflicts.Types {
		policies[t] = policy
	}
	for _, t := range form["type"] {
		if t == allTypes {
			continue
		}
		pulled[t], pushed[t] = slices.Contains(form["pull"], t), slices.Contains(form["push"], t)
		if policy := reconcile.Policy(form.Get("policy." + t)); policy != "" {
			policies[t] = policy
		} else {
			delete(policies, t)
		}
	}
	if name := strings.TrimSpace(form.Get("new")); name != "" {
		if like, ok := fhir.CanonicalType(name); ok {
			name = like
		}
		pulled[name], pushed[name] = form.Get("new-pull") != "", form.Get("new-push") != ""
	}
	pull := s.Pull.With(slices.Contains(form["pull"], allTypes), pulled).Via(clientsOf(s.Pull, form, "pull-by"))
	push, conflicts := s.Push.With(slices.Contains(form["push"], allTypes), pushed).Via(clientsOf(s.Push, form, "push-by")), s.Conflicts
	conflicts.Types = policies
	if policy := form.Get("policy." + allTypes); policy != "" {
		conflicts.Default = reconcile.Policy(policy)
	}
	return control.SettingsChange{Basis: form.Get("basis"), Pull: &pull, Push: &push, Conflicts: &conflicts}
}

// usualClient is the client where no rule names one.
func usualClient() control.Client { return control.Clients()[0] }

// clientOf returns what a form says of the client of a type; of all other types the usual one is what nothing says.
func clientOf(form url.Values, way, resourceType string) control.Client {
	client := control.Client(form.Get(way + "." + resourceType))
	if resourceType == allTypes && client == usualClient() {
		return ""
	}
	return client
}

// clientsOf returns what a form says of the clients of one way, where that is another than now.
func clientsOf(now control.Way, form url.Values, way string) map[string]control.Client {
	out := map[string]control.Client{}
	for _, t := range form["type"] {
		written := now.Client(t)
		if t == allTypes && written == usualClient() {
			written = ""
		}
		if client := clientOf(form, way, t); form.Has(way+"."+t) && client != written {
			out[t] = client
		}
	}
	return out
}

func (p page) previewOf(v control.SettingsPreview) *settingsPreview {
	out := &settingsPreview{Effects: p.saidAll(v.Effects), Warnings: v.Warnings}
	for _, ch := range v.Changes {
		name := ch.Type
		if name == allTypes {
			name = p.t("settings.others")
		}
		if ch.Setting == "policy" {
			to := p.t("settings.as_all")
			if ch.To != "" {
				to = p.policy(reconcile.Policy(ch.To))
			}
			out.Changes = append(out.Changes, p.t("settings.decided_by", "type", name, "policy", to))
			continue
		}
		if way, ok := strings.CutSuffix(ch.Setting, "_client"); ok {
			to := p.t("settings.as_others")
			if ch.To != "" || ch.Type == allTypes {
				to = p.t("settings.client." + or(ch.To, string(usualClient())))
			}
			out.Changes = append(out.Changes, p.t("settings."+way+"_by", "type", name, "client", to))
			continue
		}
		out.Changes = append(out.Changes, p.t("settings."+ch.Setting+"_"+ch.To, "type", name))
	}
	for _, d := range []struct {
		key string
		v   *control.Volume
	}{{"settings.would_fetch", v.Fetch}, {"settings.would_send", v.Send}} {
		if d.v == nil {
			continue
		}
		key := d.key
		if d.v.AtMost {
			key += "_most"
		}
		one := volume{Text: p.h(key, "n", d.v.Resources, "size", messages.Bytes(d.v.Bytes))}
		if d.v.Unknown != nil {
			one.Text = p.said(*d.v.Unknown)
		}
		for _, e := range d.v.Types {
			one.Types = append(one.Types, volumeRow{e.Type, p.say.Number(e.Copies - e.Deleted), p.say.Size(messages.Bytes(e.Bytes))})
		}
		out.Volumes = append(out.Volumes, one)
	}
	return out
}
