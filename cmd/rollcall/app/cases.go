package app

import (
	"context"
	"path/filepath"
	"strings"

	"rollcall/sources/redact"
	"rollcall/store/cases"
	"rollcall/store/journal"
)

const casesDir = "cases"

// CasesFolder is where the console writes the cases of an incident.
func (a *App) CasesFolder(incident string) string {
	return filepath.Join(a.cfg.State, casesDir, incident)
}

// ExportCases writes the cases of an incident for promptfoo.
func (a *App) ExportCases(ctx context.Context, incident, dir string) (cases.Done, error) {
	return a.WriteCases(ctx, incident, dir, cases.Options{}, false)
}

// WriteCases makes the cases of an incident, writes them into a folder, and records
// that: from then on the incident has cases. With cases.ErrNone nothing is written, and
// the answer says what was left out.
func (a *App) WriteCases(ctx context.Context, incident, dir string, o cases.Options, force bool) (cases.Done, error) {
	j, err := a.ReadJournal()
	if err != nil {
		return cases.Done{}, err
	}
	x, err := cases.Build(ctx, j, incident, o, func(s string) string { return redact.Sanitize(a.intake.redactor.Text(s)) })
	done := cases.Done{Export: x, Dir: dir}
	if err != nil {
		return done, err
	}
	files, err := x.Files()
	if err != nil {
		return done, err
	}
	if err := cases.Write(dir, files, force); err != nil {
		return done, err
	}
	for _, f := range files {
		done.Files = append(done.Files, f.Path)
	}
	where := dir
	if abs, err := filepath.Abs(dir); err == nil {
		where = abs
	}
	inc, err := a.Incident(ctx, x.Incident)
	if err != nil {
		done.Unrecorded = line(err.Error())
		return done, nil
	}
	exported := journal.CasesExported{What: journal.WhatCases, Format: formats(x.Formats)}
	for i := range x.Cases {
		exported.Requests = append(exported.Requests, x.Cases[i].Request)
	}
	e, err := a.append(ctx, journal.Draft{
		Kind: journal.Exported, Service: inc.Service, Environment: inc.Environment, Incident: inc.ID, Data: exported, Text: where,
	})
	if err != nil {
		done.Unrecorded = line(err.Error())
	}
	done.Seq = e.Seq
	return done, nil
}

func formats(list []cases.Format) string {
	out := make([]string, len(list))
	for i, f := range list {
		out[i] = string(f)
	}
	return strings.Join(out, ",")
}
