package run

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"rollcall/runbooks"
)

// refuse tells why an answer is not one now; nil when it is.
func (f *fold) refuse(actor string, a Answer) error {
	if f.st.Outcome != "" {
		return fmt.Errorf("%s has ended (%s); start a new run", f.st.ID, f.st.Outcome)
	}
	i := f.next()
	if i < 0 {
		return fmt.Errorf("%s asks nothing now", f.st.ID)
	}
	s := &f.st.Steps[i]
	if a.Step != s.Name {
		return fmt.Errorf("%s is at %s by now, not at %s; look again", f.st.ID, s.Name, a.Step)
	}
	choices := f.choices()
	if !slices.ContainsFunc(choices, func(c Choice) bool { return c.Answer.Verb == a.Verb }) {
		var words []string
		for _, c := range choices {
			words = append(words, string(c.Answer.Verb))
		}
		if len(words) == 0 {
			return fmt.Errorf("%s asks nothing now; %s is %s", f.st.ID, s.Name, s.Status)
		}
		return fmt.Errorf("%q is no answer at %s now; it can be %s", a.Verb, s.Name, strings.Join(words, ", "))
	}
	text := strings.TrimSpace(a.Text)
	switch {
	case a.Verb == Go && f.st.Ask == AskApprove && actor == f.st.Actor:
		return fmt.Errorf("%s started this run, so somebody else must approve; ask a colleague to answer %s", actor, f.st.ID)
	case a.Verb == Go && f.st.Ask == AskNote && text == "":
		return fmt.Errorf("%s asks for a text; write one", s.Name)
	case (a.Verb == Skip || a.Verb == Accept) && text == "":
		return fmt.Errorf("say in a few words why; it is written into the journal")
	}
	return nil
}

// choices are the answers that are possible now, the usual one first.
func (f *fold) choices() []Choice {
	i := -1
	if f.st.ID != "" && f.st.Outcome == "" && f.ending == nil {
		i = f.next()
	}
	if i < 0 {
		return nil
	}
	s := &f.st.Steps[i]
	c := func(v Verb, format string, args ...any) Choice {
		return Choice{Answer{Step: s.Name, Verb: v}, fmt.Sprintf(format, args...)}
	}
	skip := c(Skip, "Leave %s out, and say why. Next: %s.", s.Name, f.after(i))
	stop := c(Stop, "End the run here. Nothing is undone.")
	var out []Choice
	switch f.st.Ask {
	case AskNothing:
		if s.Status != Running || f.cut != nil {
			return nil
		}
		if s.Kind == runbooks.Command || s.Kind == runbooks.Evals {
			stop = c(Stop, "Kill the command and end the run here. Nothing is undone.")
		}
	case AskGo:
		out = append(out, c(Go, "%s", f.does(s)), skip)
	case AskConfirm:
		out = append(out, c(Go, "Yes: %s. Next: %s.", trimStop(f.resolve(s.Sentence)), f.after(i)), skip)
	case AskNote:
		out = append(out, c(Go, "Write your answer into the journal. Next: %s.", f.after(i)), skip)
	case AskApprove:
		out = append(out, c(Go, "Approve as a second person: %s. Next: %s.", trimStop(f.resolve(s.Sentence)), f.after(i)))
	case AskDecide:
		if f.overdue {
			out = append(out, c(Go, "Go on with %s, for another %s.", s.Name, f.maxDuration))
			break
		}
		if s.Effect == runbooks.Write && f.st.Target.ReadOnly {
			out = append(out, skip)
			break
		}
		if s.Attempt == 0 && s.When != "" {
			out = append(out, c(Again, "Look once more whether %s.", s.When), c(Go, "All the same. %s", f.does(s)), skip)
			break
		}
		again := c(Again, "Do %s again.", s.Name)
		if s.Kind == runbooks.Command {
			again.Does = "Again. " + f.does(s)
		}
		out = append(out, again, c(Accept, "Take %s as done, and say why. Next: %s.", s.Name, f.after(i)))
		if s.Attempt == 0 {
			out = append(out, skip)
		}
	}
	if !f.st.Aborting {
		undo := c(Undo, "Abort. %s", f.undoing())
		if f.st.Ask == AskNothing && (s.Kind == runbooks.Command || s.Kind == runbooks.Evals) {
			undo.Does = "Kill the command and abort. " + f.undoing()
		}
		out = append(out, undo)
	}
	return append(out, stop)
}

// after names what comes after a step.
func (f *fold) after(i int) string {
	for _, s := range f.st.Steps[i+1:] {
		if (s.Phase == runbooks.Abort) == f.st.Aborting && s.Status == Pending {
			return s.Name + ", " + lower(trimStop(f.resolve(s.Sentence)))
		}
	}
	return "the end of the run"
}

// undoing says what the Abort section does.
func (f *fold) undoing() string {
	var parts []string
	for i := range f.st.Steps {
		s := &f.st.Steps[i]
		if s.Phase != runbooks.Abort {
			continue
		}
		p := s.Name + ", " + lower(trimStop(f.resolve(s.Sentence)))
		if s.Kind == runbooks.Command && s.Effect == runbooks.Write {
			p = lower(f.does(s))
			if s.When != "" {
				p = trimStop(p) + ", only when " + s.When
			}
		}
		parts = append(parts, trimStop(p))
	}
	if len(parts) == 0 {
		return "There is nothing to undo; the run ends."
	}
	text := strings.Join(parts, "; then ")
	if f.unattended {
		return upper(text) + "."
	}
	return upper(text) + ". Each write asks first."
}

var moveOf = regexp.MustCompile(`^rollcall (?:pin|setting) set "?([^"\s]+)"? "?([^"\s]+)"? --if-current "?([^"\s]+)"?$`)

// does says what a command will do, with the values of its variables.
func (f *fold) does(s *Step) string {
	script := strings.TrimSpace(f.resolve(s.Script))
	if m := moveOf.FindStringSubmatch(script); m != nil {
		return fmt.Sprintf("Move %s from %s to %s: %s", m[1], m[3], m[2], script)
	}
	return trimStop(f.resolve(s.Sentence)) + ": " + oneLine(script)
}

const shownCommand = 400

// oneLine writes a script on one line, shortened.
func oneLine(script string) string {
	rows := strings.FieldsFunc(script, func(r rune) bool { return r == '\n' })
	for i := range rows {
		rows[i] = strings.TrimSpace(rows[i])
	}
	out := strings.Join(rows, " ⏎ ")
	if r := []rune(out); len(r) > shownCommand {
		return string(r[:shownCommand]) + fmt.Sprintf("… (%d lines)", len(rows))
	}
	return out
}

var reference = regexp.MustCompile(`\$(\{[A-Z][A-Z0-9_]*\}|[A-Z][A-Z0-9_]*)`)

// resolve puts the values of variables into a text that is to be read. What runs
// gets them as environment, never like this.
func (f *fold) resolve(text string) string { return Resolve(text, f.st.Vars) }

// Resolve puts the values of variables in place of $NAME in a text that is to be
// read. It is never what runs.
func Resolve(text string, vars []Value) string {
	return reference.ReplaceAllStringFunc(text, func(ref string) string {
		name := strings.Trim(ref[1:], "{}")
		for _, v := range vars {
			if v.Name == name {
				return v.Value
			}
		}
		return ref
	})
}

func trimStop(s string) string { return strings.TrimRight(strings.TrimSpace(s), ".") }

func lower(s string) string { return recase(s, strings.ToLower) }
func upper(s string) string { return recase(s, strings.ToUpper) }

// recase changes the first letter.
func recase(s string, to func(string) string) string {
	for i, r := range s {
		_ = i
		return to(string(r)) + s[len(string(r)):]
	}
	return s
}
