package run

import (
	"context"
	"time"

	"rollcall/runbooks"
	"rollcall/runbooks/run/recorder"
)

const foreignLook = 500 * time.Millisecond // between two looks at a run that another process drives, wall

// Watch sends the state now and after every change until ctx ends or the run
// does. A slow reader misses states in between, never the last.
func (e *Engine) Watch(ctx context.Context, id string) (<-chan State, error) {
	if d := e.driver(id); d != nil {
		out := make(chan State, 1)
		go func() {
			defer close(out)
			if !d.tell(ctx, out) {
				e.watchForeign(ctx, id, &fold{}, out) // let go here; somebody else may take it up
			}
		}()
		return out, nil
	}
	f, err := e.load(ctx, id)
	if err != nil {
		return nil, err
	}
	out := make(chan State, 1)
	go func() {
		defer close(out)
		e.watchForeign(ctx, id, f, out)
	}()
	return out, nil
}

// tell sends what this driver does; it returns true when there is nothing more to tell.
func (d *driver) tell(ctx context.Context, out chan State) bool {
	for {
		st, changed := d.watch()
		newest(out, st)
		if st.Outcome != "" {
			return true
		}
		select {
		case <-changed:
		case <-d.done:
			st, _ := d.watch()
			newest(out, st)
			return st.Outcome != "" || d.trouble != "" || d.e.ctx.Err() != nil
		case <-ctx.Done():
			return true
		}
	}
}

// newest puts a state in place of one that nobody has read yet.
func newest(out chan State, st State) {
	for {
		select {
		case out <- st:
			return
		default:
		}
		select {
		case <-out:
		default:
		}
	}
}

func (e *Engine) watchForeign(ctx context.Context, id string, f *fold, out chan State) {
	tick := time.NewTicker(foreignLook)
	defer tick.Stop()
	var seen int64
	driver, told := "", false
	var live int
	for {
		if d := e.driver(id); d != nil {
			if d.tell(ctx, out) {
				return
			}
			told = false
		}
		if err := e.follow(ctx, id, f); err != nil && ctx.Err() == nil {
			e.Log.Warn("a run could not be looked at", "run", id, "err", err)
		}
		st := e.foreign(f)
		lines := 0
		if st.Current >= 0 {
			if o := st.Steps[st.Current].Output; len(o) > 0 {
				lines = int(o[len(o)-1].N)
			}
		}
		if !told || f.last != seen || st.Driver != driver || lines != live {
			seen, driver, live, told = f.last, st.Driver, lines, true
			newest(out, st)
		}
		if st.Outcome != "" {
			return
		}
		select {
		case <-tick.C:
		case <-e.ctx.Done():
			return
		case <-ctx.Done():
			return
		}
	}
}

// foreign is the state of a run that this engine does not drive.
func (e *Engine) foreign(f *fold) State {
	st := f.state()
	if st.Outcome != "" {
		return st
	}
	st.Driver = e.driving(st.ID)
	if i := st.Current; i >= 0 && f.open && (st.Steps[i].Kind == runbooks.Command || st.Steps[i].Kind == runbooks.Evals) {
		if a, ok := recorder.Open(e.attempt(st.ID, i, st.Steps[i].Attempt)); ok {
			lines, err := a.All()
			if err != nil {
				e.Log.Warn("the output of a run could not be read", "run", st.ID, "err", err)
			}
			for _, l := range lines[max(0, len(lines)-liveLines):] {
				st.Steps[i].Output = append(st.Steps[i].Output, Line(l))
			}
		}
	}
	return st
}
