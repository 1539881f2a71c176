package app

import (
	"context"
	"time"

	"rollcall/cmd/rollcall/config"
	"rollcall/sources"
)

// rows reads the request rows under the names that the configuration gives to
// services; spans carry their own.
type rows struct {
	in  *Intake
	cfg *config.File
}

// name returns what spans call a service.
func (r rows) name(service string) string {
	if s, ok := r.cfg.Services[service]; ok {
		return s.TraceService
	}
	return service
}

// Requests searches rows, newest first. Rows know people by their tokens, so a
// user in the filter is turned into one; a token stays what it is.
func (r rows) Requests(ctx context.Context, f sources.RequestFilter) (sources.RequestList, error) {
	s, err := r.in.wait(ctx)
	if err != nil {
		return sources.RequestList{}, err
	}
	f.Service, f.User, f.Tenant = r.name(f.Service), r.in.redactor.Person(f.User), r.in.redactor.Identity(f.Tenant)
	return s.Requests(ctx, f)
}

// Trace returns one request by any of its IDs, nil when there is none.
func (r rows) Trace(ctx context.Context, id string) (*sources.RequestView, sources.Facts, error) {
	s, err := r.in.wait(ctx)
	if err != nil {
		return nil, sources.Facts{}, err
	}
	return s.Trace(ctx, id)
}

// Alike returns requests that failed the same way.
func (r rows) Alike(ctx context.Context, req *sources.Request, limit int) (sources.RequestList, error) {
	s, err := r.in.wait(ctx)
	if err != nil {
		return sources.RequestList{}, err
	}
	return s.Alike(ctx, req, limit)
}

// Buckets sums rows per span of time.
func (r rows) Buckets(ctx context.Context, service string, since, until time.Time, step time.Duration, by sources.Component) ([]sources.RequestBucket, sources.Facts, error) {
	s, err := r.in.wait(ctx)
	if err != nil {
		return nil, sources.Facts{}, err
	}
	return s.Buckets(ctx, r.name(service), since, until, step, by)
}

// Versions counts the versions that rows ran, per span of time.
func (r rows) Versions(ctx context.Context, service string, since, until time.Time, step time.Duration) ([]sources.VersionCount, error) {
	s, err := r.in.wait(ctx)
	if err != nil {
		return nil, err
	}
	return s.Versions(ctx, r.name(service), since, until, step)
}

// Table reads rows by column.
func (r rows) Table(ctx context.Context, q sources.TableQuery) (*sources.RequestTable, error) {
	s, err := r.in.wait(ctx)
	if err != nil {
		return nil, err
	}
	q.Service = r.name(q.Service)
	return s.Table(ctx, q)
}
