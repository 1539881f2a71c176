package request

import (
	"cmp"
	"slices"
	"strconv"

	"rollcall/sources"
)

// evaluation is what one evaluator said, wherever it was written.
type evaluation struct {
	at          int64
	event, name string
	attrs       sources.Attrs
	keys        *evaluationKeys
}

// evaluationKeys are the names that one dialect gives to the parts of an evaluation.
type evaluationKeys struct{ name, value, label, explanation string }

var (
	genAI        = evaluationKeys{"gen_ai.evaluation.name", "gen_ai.evaluation.score.value", "gen_ai.evaluation.score.label", "gen_ai.evaluation.explanation"}
	openInfer    = evaluationKeys{"evaluation.name", "evaluation.score", "evaluation.label", "evaluation.explanation"}
	annotation   = evaluationKeys{"annotation.name", "annotation.score", "annotation.label", "annotation.explanation"}
	onSpans      = [...]*evaluationKeys{&openInfer, &annotation, &genAI}
	feedbackName = "user_feedback"
)

// scores takes evaluations and feedback from log events, from events inside
// spans, and from the spans of evaluators; the newest of one evaluator stands.
func (w *work) scores(r *sources.Request, events []sources.TraceEvent) {
	var all []evaluation
	note := func(at int64, event string, attrs sources.Attrs) {
		if event == "gen_ai.evaluation.result" || event == feedbackName {
			name, _ := attrs.Get(genAI.name)
			all = append(all, evaluation{at, event, name, attrs, &genAI})
		}
	}
	for _, s := range w.spans {
		for i := range s.Events {
			note(s.Events[i].Time, s.Events[i].Name, s.Events[i].Attrs)
		}
		for _, k := range onSpans {
			if name, ok := s.Attrs.Get(k.name); ok && !unset(name) {
				all = append(all, evaluation{s.End, "", name, s.Attrs, k})
			}
		}
	}
	for i := range events {
		note(events[i].Time, events[i].Name, events[i].Attrs)
	}
	slices.SortStableFunc(all, func(a, b evaluation) int { return cmp.Compare(a.at, b.at) })
	for _, e := range all {
		e.judge(r)
	}
}

func (e *evaluation) judge(r *sources.Request) {
	label, _ := e.attrs.Get(e.keys.label)
	if e.event == feedbackName || e.name == feedbackName {
		if label == "" {
			label, _ = e.attrs.Get("label")
		}
		if t := thumbs(label); t != "" {
			r.Feedback, r.From["feedback"] = t, feedbackName
		}
		return
	}
	if e.name == "" {
		return
	}
	s := sources.EvalScore{Evaluator: clip(e.name), Label: clip(label)}
	if v, ok := e.attrs.Get(e.keys.value); ok {
		if n, err := strconv.ParseFloat(v, 64); err == nil {
			s.Value = sources.N(n)
		}
	}
	if x, ok := e.attrs.Get(e.keys.explanation); ok {
		s.Explanation = clipTo(x, maxRowText)
	}
	i := slices.IndexFunc(r.Scores, func(o sources.EvalScore) bool { return o.Evaluator == s.Evaluator })
	switch {
	case i >= 0:
		r.Scores[i] = s
	case len(r.Scores) < maxScores:
		r.Scores = append(r.Scores, s)
	}
}
