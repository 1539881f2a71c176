package app

import (
	"sync"

	"rollcall/runbooks/run"
)

// driven is the App's hold on the engine.
type driven struct {
	mu     sync.Mutex
	engine *run.Engine
	closed bool
}

// runSet holds the runs that somebody is at.
type runSet struct {
	mu  sync.Mutex
	ids map[string]bool
}

func (s *runSet) add(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ids[id] {
		return false
	}
	if s.ids == nil {
		s.ids = map[string]bool{}
	}
	s.ids[id] = true
	return true
}

func (s *runSet) remove(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.ids, id)
}
