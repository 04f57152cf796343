package control

// Sentence is a sentence in English with what it is made of, so that a page can say it in another language. Code names it; the names in
// Times, Spans and Words say what each value is. Times are milliseconds since 1970 UTC.
type Sentence struct {
	Code  string            `json:"code"`
	Text  string            `json:"text"`
	Count int64             `json:"count,omitempty"`
	Times map[string]int64  `json:"times,omitempty"`
	Spans map[string]int64  `json:"spans,omitempty"` // milliseconds
	Words map[string]string `json:"words,omitempty"` // names, versions, and errors as the program words them
}

// texts returns the sentences in English.
func texts(list []Sentence) []string {
	var out []string
	for _, s := range list {
		out = append(out, s.Text)
	}
	return out
}
