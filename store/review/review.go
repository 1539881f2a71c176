// Package review makes the post-incident review out of the journal: everything
// that can be computed is computed and says where it came from, and what only
// people can know is left visibly blank.
package review

import (
	"context"
	"encoding/json"
	"io"
	"time"

	"rollcall/sources"
	"rollcall/store/journal"
)

// Schema names the form of a Review in JSON.
const Schema = "rollcall/review/v1"

// Review is a post-incident review. Fields are added, never renamed or removed.
// Times are service time in UTC; numbers that are not known are null.
type Review struct {
	Schema     string     `json:"schema"`
	Generated  time.Time  `json:"generated"`
	Public     bool       `json:"public,omitempty"`
	Incident   Incident   `json:"incident"`
	Summary    string     `json:"summary"`
	Evidence   string     `json:"evidence,omitempty"` // the verdict line when it was opened
	Times      []Moment   `json:"times"`
	Durations  []Duration `json:"durations"`
	Severities []Stretch  `json:"severities"` // time in each severity
	Signals    []Signal   `json:"signals"`
	Suspects   []Suspect  `json:"suspects"`
	Changes    []Change   `json:"changes"` // in the hour before it began until its end
	Affected   Affected   `json:"affected"`
	Requests   []Linked   `json:"requests"`
	Runs       []Run      `json:"runs"`
	Timeline   []Row      `json:"timeline"`
	Blanks     []Blank    `json:"blanks"` // for people
	Gaps       []string   `json:"gaps"`   // what could not be read, and why
	Head       Head       `json:"head"`
}

// Incident is the head of a review.
type Incident struct {
	ID            string           `json:"id"`
	Title         string           `json:"title"`
	Service       string           `json:"service"`
	Environment   string           `json:"environment,omitempty"`
	Category      journal.Category `json:"category"`
	CategoryMeans string           `json:"category_means,omitempty"`
	Severity      journal.Severity `json:"severity"`
	SeverityMeans string           `json:"severity_means,omitempty"`
	Tags          []string         `json:"tags,omitempty"`
	State         string           `json:"state"`
	Lead          string           `json:"lead,omitempty"`
	People        []Person         `json:"people"`
	Signals       []string         `json:"signals,omitempty"`
	Cases         int              `json:"cases"`
	CloseReason   string           `json:"close_reason,omitempty"`
}

// Person is somebody who acted, with how often.
type Person struct {
	Name    string `json:"name"`
	Entries int    `json:"entries"`
}

// Moment is one of the times of an incident. An unknown one says why.
type Moment struct {
	Name string    `json:"name"`
	At   time.Time `json:"at,omitzero"`
	Why  string    `json:"why,omitempty"` // where it came from, or why it is not known
}

// Duration is a difference of two moments with its formula.
type Duration struct {
	Name    string      `json:"name"`
	Seconds sources.Num `json:"seconds"`
	Formula string      `json:"formula"` // "detected 06:33:10 − began 06:28:00 = 5m10s", or why it is not known
}

// Stretch is the time that an incident had one severity.
type Stretch struct {
	Severity journal.Severity `json:"severity"`
	From     time.Time        `json:"from"`
	To       time.Time        `json:"to"`
	Seconds  float64          `json:"seconds"`
	Seq      int64            `json:"seq,omitempty"` // the entry that set it
	Open     bool             `json:"open,omitempty"`
}

// Signal compares a signal before, during and after.
type Signal struct {
	Signal string        `json:"signal"`
	Label  string        `json:"label"`
	Unit   sources.Unit  `json:"unit"`
	Before sources.Num   `json:"before"`
	During sources.Num   `json:"during"` // the worst
	After  sources.Num   `json:"after"`
	Usual  sources.Num   `json:"usual"`
	Points []SignalPoint `json:"points"` // oldest first
}

// SignalPoint is one value with its journal entry.
type SignalPoint struct {
	At      time.Time       `json:"at"`
	Seq     int64           `json:"seq"`
	Value   sources.Num     `json:"value"`
	Verdict sources.Verdict `json:"verdict,omitempty"`
}

// Suspect is what explained the trouble when somebody looked.
type Suspect struct {
	Seq  int64  `json:"seq"`
	Text string `json:"text"`
}

// Change is something that moved, with how long before the trouble.
type Change struct {
	sources.Change
	BeforeS sources.Num `json:"before_s"` // seconds before it began; negative is after
	Seq     int64       `json:"seq,omitempty"`
}

// Affected says whom and what it cost, as far as request rows tell.
type Affected struct {
	Known    bool        `json:"known"`
	Since    time.Time   `json:"since,omitzero"` // what the numbers cover
	Until    time.Time   `json:"until,omitzero"`
	Requests int         `json:"requests"`
	Bad      sources.Num `json:"bad"`
	Reasons  []Reason    `json:"reasons,omitempty"` // one request may have several
	Users    sources.Num `json:"users"`             // among the bad requests
	Tenants  sources.Num `json:"tenants"`
	ByTenant []Reason    `json:"by_tenant,omitempty"`
	CostUSD  sources.Num `json:"cost_usd"`
	UsualUSD sources.Num `json:"usual_usd"`
	UsualHow string      `json:"usual_how,omitempty"`
	Notes    []string    `json:"notes,omitempty"` // why something is not known or not the whole
}

// Reason is a word with how many requests it holds for.
type Reason struct {
	Name string `json:"name"`
	N    int    `json:"n"`
}

// Linked is a request captured into the incident.
type Linked struct {
	Request   string                `json:"request"`
	Seq       int64                 `json:"seq,omitempty"`
	Artifacts []journal.ArtifactRef `json:"artifacts,omitempty"`
}

// Row is a line of the timeline. It cites the journal: one entry, or a stretch of alike ones.
type Row struct {
	Seq       int64                 `json:"seq"`
	SeqLast   int64                 `json:"seq_last,omitempty"`
	At        time.Time             `json:"at"`
	Kind      journal.Kind          `json:"kind"`
	Actor     string                `json:"actor,omitempty"`
	What      string                `json:"what"`
	Text      string                `json:"text,omitempty"` // free text of the entry
	Artifacts []journal.ArtifactRef `json:"artifacts,omitempty"`
}

// Run is one execution of a runbook.
type Run struct {
	ID        string    `json:"id"`
	Runbook   string    `json:"runbook"`
	Title     string    `json:"title,omitempty"`
	Component string    `json:"component,omitempty"`
	Actor     string    `json:"actor,omitempty"`
	Began     time.Time `json:"began,omitzero"`
	Ended     time.Time `json:"ended,omitzero"`
	Outcome   string    `json:"outcome,omitempty"` // empty while it goes on
	Why       string    `json:"why,omitempty"`
	Rehearsal bool      `json:"rehearsal,omitempty"`
	Vars      []Var     `json:"vars,omitempty"`
	Steps     []Step    `json:"steps"`
}

// Var is a frozen variable of a run.
type Var struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	From  string `json:"from,omitempty"`
}

// Step is one item of the checklist.
type Step struct {
	Name     string       `json:"name"`
	Phase    string       `json:"phase,omitempty"`
	Sentence string       `json:"sentence,omitempty"`
	Status   string       `json:"status"` // as the run's: passed, failed, skipped, pending, ...
	Signal   string       `json:"signal,omitempty"`
	Unit     sources.Unit `json:"unit,omitempty"`
	Why      string       `json:"why,omitempty"`
	By       string       `json:"by,omitempty"`
	Note     string       `json:"note,omitempty"`
	Attempt  int          `json:"attempt,omitempty"`
	Began    time.Time    `json:"began,omitzero"`
	Ended    time.Time    `json:"ended,omitzero"`
	TookS    float64      `json:"took_s,omitempty"`
	Exit     *int         `json:"exit,omitempty"`
	Samples  []Sample     `json:"samples,omitempty"`
	Output   []string     `json:"output,omitempty"` // the newest lines
	Omitted  int64        `json:"omitted,omitempty"`
	Snapped  []SnapSignal `json:"snapped,omitempty"`
}

// Sample is one measurement of a check.
type Sample struct {
	At      time.Time   `json:"at"`
	Value   sources.Num `json:"value"`
	Usual   sources.Num `json:"usual"`
	N       sources.Num `json:"n"`
	Verdict string      `json:"verdict"`
	Why     string      `json:"why,omitempty"`
}

// Blank is a question that only people can answer.
type Blank struct {
	Title string `json:"title"`
	Hint  string `json:"hint"`
}

// Head is the end of the journal that the review was made from.
type Head struct {
	journal.Head
	Verify string `json:"verify"` // the command that compares
}

// Journal is what a review reads.
type Journal interface {
	Incident(ctx context.Context, id string) (journal.Incident, error)
	Entries(ctx context.Context, f journal.Filter) ([]journal.Entry, error)
	Head(ctx context.Context) (journal.Head, error)
	Artifact(ctx context.Context, id int64) (journal.Artifact, error)
}

// Deps are what a review is made from. Runs and Affected may be nil: the review then says what it lacks.
type Deps struct {
	Journal Journal
	// Runs returns one run by its ID.
	Runs func(ctx context.Context, id string) (Run, error)
	// Affected sums the request rows of a service between two times.
	Affected func(ctx context.Context, service string, since, until time.Time) (Affected, error)
	// Changes returns what moved between two times, oldest first, besides what the journal saw.
	Changes func(ctx context.Context, service string, since, until time.Time) ([]sources.Change, error)
	// Severities and Categories say what the words mean.
	Severities map[journal.Severity]string
	Categories map[journal.Category]string
	Now        time.Time // service time
}

const (
	// before is how far ahead of the trouble the review looks for its cause.
	before = time.Hour
	// after is how long after the end alerts may still clear.
	after      = 5 * time.Minute
	maxEntries = 50_000
	pageSize   = 1000
)

// blanks are what the review asks of people.
var blanks = []Blank{
	{"Root causes", "What made it possible, what set it off, and why it was not caught earlier."},
	{"What went well", ""},
	{"What went wrong", ""},
	{"Where we got lucky", ""},
	{"Surprises", "What did the system do that nobody expected?"},
}

// Build makes the review of an incident. An error means that the journal has no
// such incident or cannot be read; whatever else fails is said in Gaps.
func Build(ctx context.Context, id string, d Deps) (*Review, error) {
	inc, err := d.Journal.Incident(ctx, id)
	if err != nil {
		return nil, err
	}
	head, err := d.Journal.Head(ctx)
	if err != nil {
		return nil, err
	}
	b := &builder{Deps: d, inc: inc, r: &Review{
		Schema: Schema, Generated: d.Now.UTC(), Blanks: blanks, Gaps: []string{},
		Head: Head{Head: head, Verify: verifyCommand(head)},
	}}
	if err := b.read(ctx, head); err != nil {
		return nil, err
	}
	b.times()
	b.severities()
	b.header(ctx)
	b.r.Timeline = Timeline(b.all, b.inc.ID)
	b.changes(ctx)
	b.runs(ctx)
	b.signals()
	b.affected(ctx)
	b.requests()
	b.r.Summary = b.summary()
	return b.r, ctx.Err()
}

// JSON writes the review for programs.
func (r *Review) JSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}

// builder gathers a review.
type builder struct {
	Deps
	inc     journal.Incident
	own     []journal.Entry // of the incident
	all     []journal.Entry // and of the service around it
	began   time.Time       // when it began, or the earliest that is known
	ended   time.Time       // when it was over, or now
	r       *Review
	moments map[string]Moment
}

// read loads the incident's entries and those of the service around it, up to
// the head that the review cites.
func (b *builder) read(ctx context.Context, head journal.Head) error {
	own, err := b.page(ctx, journal.Filter{Incident: b.inc.ID, Before: head.Seq + 1})
	if err != nil {
		return err
	}
	b.own = own
	b.window()
	near, err := b.page(ctx, journal.Filter{Service: b.inc.Service, Since: b.began.Add(-before), Until: b.ended.Add(after), Before: head.Seq + 1})
	if err != nil {
		return err
	}
	b.all = merge(own, near, b.inc)
	return nil
}

func (b *builder) page(ctx context.Context, f journal.Filter) ([]journal.Entry, error) {
	var out []journal.Entry
	f.Limit = pageSize
	for {
		list, err := b.Journal.Entries(ctx, f)
		if err != nil {
			return nil, err
		}
		out = append(out, list...)
		if len(list) < pageSize {
			return out, nil
		}
		if len(out) >= maxEntries {
			b.gap("the journal holds more than %d entries of this time; the later ones are left out", maxEntries)
			return out, nil
		}
		f.After = list[len(list)-1].Seq
	}
}

// window is the time that the review covers.
func (b *builder) window() {
	b.began = b.inc.Opened
	for _, t := range []time.Time{b.inc.Detected, b.inc.Began} {
		if !t.IsZero() && (b.began.IsZero() || t.Before(b.began)) {
			b.began = t
		}
	}
	b.ended = b.Now
	for _, t := range []time.Time{b.inc.Closed, b.inc.Resolved} {
		if !t.IsZero() {
			b.ended = t
		}
	}
	if b.ended.Before(b.began) {
		b.ended = b.began
	}
}

// merge puts two lists in the order of the journal, each entry once, without those of other incidents.
func merge(own, near []journal.Entry, inc journal.Incident) []journal.Entry {
	out := make([]journal.Entry, 0, len(own)+len(near))
	i := 0
	for _, e := range near {
		for i < len(own) && own[i].Seq < e.Seq {
			out = append(out, own[i])
			i++
		}
		if i < len(own) && own[i].Seq == e.Seq {
			continue
		}
		other := e.Incident != "" && e.Incident != inc.ID ||
			e.Environment != "" && inc.Environment != "" && e.Environment != inc.Environment
		if !other {
			out = append(out, e)
		}
	}
	return append(out, own[i:]...)
}
