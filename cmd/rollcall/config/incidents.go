package config

import (
	"slices"
	"strings"

	"rollcall/store/journal"
)

// Incidents says what categories and severities mean here.
type Incidents struct {
	Severities map[string]string `yaml:"severities"`
	Categories map[string]string `yaml:"categories"`
}

var severityMeans = map[journal.Severity]string{
	journal.SEV1: "Highest: people are or may be harmed, or a critical policy is violated. Shut the affected feature down at once if need be.",
	journal.SEV2: "High: a category of queries gets wrong answers, or private data leaks. Roll back prompt or model now; clean up data after a leak.",
	journal.SEV3: "Lower: helpfulness, tone, formatting, speed or cost suffer. Investigate, sooner when users lose trust.",
	journal.SEV4: "Lowest: noticed, without effect on users so far. Look at it in working hours.",
}

var categoryMeans = map[journal.Category]string{
	journal.Safety:       "Harmful content, dangerous actions made easier, or critical policies violated. Highest severity; may require immediate shutdown of the affected feature.",
	journal.Correctness:  "Consistently wrong answers for a category of queries. High severity; may require prompt or model rollback.",
	journal.Privacy:      "Personal or confidential information leaks in responses or logs. High severity; may require data cleanup in addition to a system fix.",
	journal.Quality:      "Answers degrade in helpfulness, tone or formatting. Lower severity, but still requires investigation, especially if it affects user trust.",
	journal.Availability: "The service does not answer, answers with errors, or answers too late.",
	journal.Cost:         "Money, tokens or limits are used up faster than they should be.",
}

// SeverityMeans returns what each severity means, with the defaults for those not configured.
func (i Incidents) SeverityMeans() map[journal.Severity]string {
	return merged(severityMeans, i.Severities)
}

// CategoryMeans returns what each category means, with the defaults for those not configured.
func (i Incidents) CategoryMeans() map[journal.Category]string {
	return merged(categoryMeans, i.Categories)
}

func merged[K ~string](defaults map[K]string, own map[string]string) map[K]string {
	out := make(map[K]string, len(defaults))
	for k, v := range defaults {
		if s := strings.TrimSpace(own[string(k)]); s != "" {
			v = s
		}
		out[k] = v
	}
	return out
}

func (f *File) validateIncidents(say report) {
	words(say, "incidents.severities", f.Incidents.Severities, journal.Severities())
	words(say, "incidents.categories", f.Incidents.Categories, journal.Categories())
}

func words[K ~string](say report, at string, own map[string]string, known []K) {
	names := make([]string, len(known))
	for i, k := range known {
		names[i] = string(k)
	}
	for word, means := range own {
		switch {
		case !slices.Contains(names, word):
			say(at+"."+word, "%s has no %q; it can be %s", at, word, strings.Join(names, ", "))
		case strings.TrimSpace(means) == "":
			say(at+"."+word, "%s.%s is empty; say what it means, or leave it out", at, word)
		}
	}
}
