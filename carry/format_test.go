package carry

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
)

// keyOf makes a key pair of a number.
func keyOf(n byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, ed25519.SeedSize))
}

func wantKind(t *testing.T, what string, err error, kind syncerr.Kind) {
	t.Helper()
	if err == nil || syncerr.KindOf(err) != kind {
		t.Errorf("%s: %v, want an error of kind %s", what, err, kind)
	}
}

// sealedPart returns a file and what a manifest says of it.
func sealedPart(t *testing.T, plain string, reader ed25519.PrivateKey) ([]byte, Part) {
	t.Helper()
	b, err := seal([]byte(plain), publicOf(reader))
	if err != nil {
		t.Fatal(err)
	}
	return b, Part{File: 1, Kind: Knowledge, Size: int64(len(b)), Sum: digest(b), Plain: int64(len(plain)), Lines: 1}
}

// A part can be read with the reader's key alone, and only as it was written.
func TestParts(t *testing.T) {
	reader, plain := keyOf(1), strings.Repeat("{\"end\":{}}\n", 1000)
	file, p := sealedPart(t, plain, reader)
	if len(file) > len(plain)/4 {
		t.Errorf("%d bytes became %d: they are not compressed", len(plain), len(file))
	}
	if bytes.Contains(file, []byte("end")) {
		t.Error("the file shows what is in it")
	}
	got, err := unseal(file, p, reader)
	if err != nil || string(got) != plain {
		t.Fatalf("unsealed %d bytes, %v", len(got), err)
	}
	_, err = unseal(file, p, keyOf(2))
	wantKind(t, "another node's key", err, syncerr.Invalid)
	for _, at := range []int{0, 10, len(file) / 2, len(file) - 1} {
		bad := bytes.Clone(file)
		bad[at] ^= 1
		_, err := unseal(bad, p, reader)
		wantKind(t, "a changed byte", err, syncerr.Invalid)
		p := p
		p.Sum = digest(bad) // whoever changed it cannot sign, but the encryption holds by itself
		_, err = unseal(bad, p, reader)
		wantKind(t, "a changed byte under a new sum", err, syncerr.Invalid)
	}
	_, err = unseal(file[:len(file)-1], p, reader)
	wantKind(t, "a cut file", err, syncerr.Invalid)
	p.Plain--
	_, err = unseal(file, p, reader)
	wantKind(t, "more than was signed", err, syncerr.Invalid)
}

// A file that unpacks to far more than it says is read no further than that: neither memory nor time is its writer's to spend.
func TestZipBomb(t *testing.T) {
	reader := keyOf(1)
	file, p := sealedPart(t, strings.Repeat("\x00", 64<<20), reader)
	if len(file) > 64<<10 {
		t.Fatalf("the bomb has %d bytes", len(file))
	}
	p.Plain = 100
	n := testing.AllocsPerRun(1, func() {
		_, err := unseal(file, p, reader)
		wantKind(t, "a bomb", err, syncerr.Invalid)
	})
	if n > 2000 {
		t.Errorf("%v allocations", n)
	}
	for _, plain := range []int64{0, -1, maxPlain + 1} {
		m := aManifest(p)
		m.Parts[0].Plain = plain
		wantKind(t, "a part that says it is too large", m.check(), syncerr.Invalid)
	}
}

func aManifest(parts ...Part) Manifest {
	return Manifest{
		Format: Format, Bundle: "00000000-0000-4000-8000-00000000000b", Serial: 1, Made: 1, Node: "clinic-a", Key: publicOf(keyOf(1)),
		Replica: "00000000-0000-4000-8000-00000000000a", Epoch: "00000000-0000-4000-8000-00000000000e", To: "clinic-b", Reader: publicOf(keyOf(2)),
		Decides: publicOf(keyOf(1)), Parts: parts,
	}
}

// What is signed is read back; what was changed, cut, signed by another or made for another purpose is not.
func TestManifests(t *testing.T) {
	_, p := sealedPart(t, "x", keyOf(2))
	m := aManifest(p)
	text, err := signed(keyOf(1), forBundle, m)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ReadManifest(text)
	if err != nil || got.Bundle != m.Bundle || got.Parts[0].Sum != p.Sum {
		t.Fatalf("%+v, %v", got, err)
	}
	if _, err := ReadManifest(bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n"))); err == nil {
		t.Error("a manifest whose first line got a carriage return was taken: its bytes are not those that were signed")
	}
	for i := range text {
		bad := bytes.Clone(text)
		bad[i] ^= 1
		if got, err := ReadManifest(bad); err == nil && i < len(text)-3 { // the last characters of base64 have bits that mean nothing
			t.Fatalf("changed at %d it is read as %+v", i, got)
		}
	}
	for n := range text[:len(text)-2] {
		if _, err := ReadManifest(text[:n]); err == nil {
			t.Fatalf("cut at %d it is read", n)
		}
	}
	other, err := signed(keyOf(3), forBundle, m)
	if err != nil {
		t.Fatal(err)
	}
	_, err = ReadManifest(other)
	wantKind(t, "signed by another node", err, syncerr.Invalid)
	card, err := signed(keyOf(1), forCard, m)
	if err != nil {
		t.Fatal(err)
	}
	_, err = ReadManifest(card)
	wantKind(t, "signed as a card", err, syncerr.Invalid)
	for name, change := range map[string]func(*Manifest){
		"a newer format": func(m *Manifest) { m.Format = 2 },
		"no files":       func(m *Manifest) { m.Parts = nil },
		"a file twice": func(m *Manifest) {
			m.Parts = append(m.Parts, Part{File: 1, Kind: Changes, Size: 1, Plain: 1, Sum: p.Sum})
		},
		"a file 0":                 func(m *Manifest) { m.Parts[0].File = 0 },
		"files out of order":       func(m *Manifest) { m.Parts = []Part{{File: 2, Kind: Changes, Size: 1, Plain: 1, Sum: p.Sum}, p} },
		"an unknown kind":          func(m *Manifest) { m.Parts[0].Kind = "program" },
		"a sum that is a path":     func(m *Manifest) { m.Parts[0].Sum = strings.Repeat("../", 21) + "x" },
		"a huge file":              func(m *Manifest) { m.Parts[0].Size = maxSealed + 1 },
		"a name with a line break": func(m *Manifest) { m.Node = "clinic\n-a" },
		"a name with escapes":      func(m *Manifest) { m.To = "clinic\x1b[2J" },
		"no serial":                func(m *Manifest) { m.Serial = 0 },
		"a type that is none":      func(m *Manifest) { m.Wants = []string{"Patient'; DROP"} },
		"a head that is none":      func(m *Manifest) { m.Saw = []string{"x"} },
		"a bundle that is none":    func(m *Manifest) { m.Seen = []string{"x"} },
		"too many bundles":         func(m *Manifest) { m.Wrote = marks("aaaaaaaa", strings.Repeat("a", maxTrail+1), 1) },
	} {
		m := aManifest(p)
		change(&m)
		text, err := signed(keyOf(1), forBundle, m)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ReadManifest(text); err == nil {
			t.Errorf("%s: it is taken", name)
		}
	}
}

// Cards: as manifests.
func TestCards(t *testing.T) {
	c := New(nil, Config{Node: "clinic-a", Key: keyOf(1), Clock: func() time.Time { return time.UnixMilli(5) }})
	text, err := c.Card(true, []string{"Patient"})
	if err != nil {
		t.Fatal(err)
	}
	got, err := ReadCard(text)
	if err != nil || got.Node != "clinic-a" || got.Key != c.Public() || !got.Decides || got.Types[0] != "Patient" || got.Made != 5 {
		t.Fatalf("%+v, %v", got, err)
	}
	_, err = ReadCard(bytes.Replace(text, []byte("clinic-a"), []byte("clinic-b"), 1))
	wantKind(t, "a changed name", err, syncerr.Invalid)
	_, err = ReadCard(bytes.Repeat([]byte("x"), maxCard+1))
	wantKind(t, "a large file", err, syncerr.Invalid)
	_, err = ReadCard(nil)
	wantKind(t, "an empty file", err, syncerr.Invalid)
	// A key under the name of another: nobody takes the place of a node that was introduced.
	_, err = Introduced(got, false, nil, store.CarryPeer{ID: "1", Name: "clinic-a", PublicKey: publicOf(keyOf(2))}, store.CarryPeer{})
	wantKind(t, "another key under the name", err, syncerr.Conflict)
}

// Both ends of a pair come to the same arbiter, whatever they said.
func TestArbiter(t *testing.T) {
	a, b := publicOf(keyOf(1)), publicOf(keyOf(2))
	for _, x := range []bool{false, true} {
		for _, y := range []bool{false, true} {
			here, there := arbiter(a, x, b, y), arbiter(b, y, a, x)
			if here != there {
				t.Errorf("%v, %v: one end says %s, the other %s", x, y, here, there)
			}
			if x != y && here != map[bool]string{true: a, false: b}[x] {
				t.Errorf("%v, %v: %s decides", x, y, here)
			}
		}
	}
}

func TestTypesInCommon(t *testing.T) {
	for _, c := range []struct{ a, b, want []string }{
		{nil, nil, nil},
		{nil, []string{"Patient"}, []string{"Patient"}},
		{[]string{"Patient", "Observation"}, []string{"Observation"}, []string{"Observation"}},
		{[]string{"Patient"}, []string{"Observation"}, []string{}},
		{[]string{"program"}, []string{"rest/*"}, []string{"program"}},
	} {
		got, want := both(c.a, c.b), c.want
		if (got == nil) != (want == nil) || strings.Join(got, ",") != strings.Join(want, ",") {
			t.Errorf("%v and %v: %v, want %v", c.a, c.b, got, want)
		}
	}
}

// Frames come out as they went in; a stream that is cut anywhere is an error.
func TestFrames(t *testing.T) {
	var b bytes.Buffer
	w := NewFrameWriter(&b)
	p := Part{File: 1, Kind: Changes, Bytes: []byte("one")}
	for _, err := range []error{w.Part(7, p), w.Manifest([]byte("manifest")), w.Written(Written{Whole: true})} {
		if err != nil {
			t.Fatal(err)
		}
	}
	read := func(b []byte) (string, []byte, Written, error) {
		var got string
		m, written, err := NewFrameReader(bytes.NewReader(b)).Bundle(func(serial uint64, p Part) error {
			if serial != 7 || p.Kind != Changes {
				t.Errorf("serial %d, part %+v", serial, p)
			}
			got += string(p.Bytes)
			return nil
		})
		return got, m, written, err
	}
	if got, m, written, err := read(b.Bytes()); err != nil || got != "one" || string(m) != "manifest" || !written.Whole {
		t.Fatalf("%q %q %+v %v", got, m, written, err)
	}
	for n := range b.Bytes() {
		if _, _, _, err := read(b.Bytes()[:n]); err == nil {
			t.Fatalf("cut at %d it is whole", n)
		}
	}
	b.Reset()
	if err := w.Fail(syncerr.New(syncerr.StorageFull, "write", "full")); err != nil {
		t.Fatal(err)
	}
	_, _, _, err := read(b.Bytes())
	wantKind(t, "an error of the other side", err, syncerr.StorageFull)
	_, err = NewFrameReader(strings.NewReader("P\xff\xff\xff\xff\xff\xff\xff\xff")).File()
	wantKind(t, "a frame longer than all memory", err, syncerr.Invalid)
}

// Names: what is not exactly a name of ours is nothing to us.
func TestNames(t *testing.T) {
	for name, want := range map[string][2]bool{
		"00010001.TRP": {true, true}, "00019999.TRP": {true, true}, "FFFF0001.TRP": {true, false}, "00010000.TRP": {}, "0001+001.TRP": {},
		"00010001.TRPX": {}, "../10001.TRP": {}, "0001 001.TRP": {}, "000100011.TRP": {}, "00010001.trp": {}, "": {}, "BUNDLE.TRB": {}, "0001/001.TRP": {},
	} {
		if part, mine := isPart(name, 1); part != want[0] || mine != want[1] {
			t.Errorf("%q: %v %v", name, part, mine)
		}
	}
	if partName(0x12345, 42) != "23450042.TRP" {
		t.Errorf("%s", partName(0x12345, 42))
	}
	for _, name := range []string{"..", "../../etc", "12345678\x00", "1234567", "123456789", "abcdef00", "C:\\12345", "CON", "12345678 "} {
		if isTag(name) || isCard(name+cardSuffix) {
			t.Errorf("%q is taken", name)
		}
	}
	if !isTag(Tag(publicOf(keyOf(1)))) || Tag(publicOf(keyOf(1))) == Tag(publicOf(keyOf(2))) {
		t.Error("tags")
	}
}

// FuzzBundle: whatever stands in a manifest or a part that a known node has signed, it is an error or it is taken; nothing panics, and no name leads
// out of the folder.
func FuzzBundle(f *testing.F) {
	m, err := json.Marshal(aManifest(Part{File: 1, Kind: Knowledge, Size: 1, Plain: 1, Sum: strings.Repeat("0", 64)}))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(m, []byte("{\"known\":{\"type\":\"Patient\",\"vector\":\"3-00000000-0000-4000-8000-00000000000a\"}}\n{\"end\":{}}\n"), "00010001.TRP")
	f.Add([]byte(`{"format":1,"parts":[{"file":-1}]}`), []byte("{\"seq\":0}\n"), "../../X.TRP")
	f.Add([]byte("{}"), []byte{}, "")
	f.Fuzz(func(t *testing.T, manifest, plain []byte, name string) {
		text := append(bytes.Clone(manifest), '\n')
		sig := ed25519.Sign(keyOf(1), append([]byte(forBundle), manifest...))
		text = append(text, base64.StdEncoding.EncodeToString(sig)...)
		if m, err := ReadManifest(text); err == nil {
			for _, p := range m.Parts {
				if got := partName(m.Serial, p.File); len(got) != 12 || strings.ContainsAny(got, "/\\.:") && strings.Count(got, ".") != 1 {
					t.Errorf("a file is named %q", got)
				}
			}
		}
		if part, _ := isPart(name, 1); part && (len(name) != 12 || strings.ContainsAny(name, "/\\:\x00")) {
			t.Errorf("%q is a file of a bundle", name)
		}
		if isTag(name) && strings.ContainsAny(name, "./\\:\x00") {
			t.Errorf("%q is a folder of a node", name)
		}
		if evs, _, err := readChanges(plain, nil); err == nil {
			for len(evs) > 0 {
				n := batch(evs)
				if n < 1 || n > len(evs) {
					t.Fatalf("a batch of %d of %d", n, len(evs))
				}
				evs = evs[n:]
			}
		}
		if _, err := readKnown(plain); err == nil {
			if _, err := packKnown(plain); err != nil {
				t.Error(err)
			}
		}
	})
}
