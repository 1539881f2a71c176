package admin

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"rollcall/cmd/rollcall-drill/sim"
)

type settingBody struct {
	Setting  string `json:"setting"`
	Value    any    `json:"value"`
	Revision int    `json:"revision"`
}

func settingTag(s sim.Setting) string { return fmt.Sprintf("%q", s.Name+"-"+strconv.Itoa(s.Revision)) }

func (a *api) settings(w http.ResponseWriter, _ *http.Request) {
	out := map[string]any{}
	for _, s := range a.control.Settings() {
		out[s.Name] = s.Value
	}
	answer(w, out)
}

func (a *api) setting(w http.ResponseWriter, r *http.Request) {
	s, err := a.control.Setting(r.PathValue("name"))
	if err != nil {
		refuse(w, err)
		return
	}
	w.Header().Set("ETag", settingTag(s))
	answer(w, settingBody{s.Name, s.Value, s.Revision})
}

func (a *api) setSetting(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	s, err := a.control.Setting(name)
	if err != nil {
		refuse(w, err)
		return
	}
	match := r.Header.Values("If-Match")
	if len(match) == 0 {
		fail(w, http.StatusPreconditionRequired,
			"a setting moves only from a known state; send the ETag of GET %s as If-Match", r.URL.Path)
		return
	}
	var in struct {
		Value any `json:"value"`
	}
	if !read(w, r, &in) {
		return
	}
	if !matches(match, settingTag(s)) {
		w.Header().Set("ETag", settingTag(s))
		fail(w, http.StatusPreconditionFailed, "%s is %v now (%s); it moved since you looked", name, s.Value, settingTag(s))
		return
	}
	moved, err := a.control.SetSetting(name, in.Value, s.Revision)
	if err != nil {
		if errors.Is(err, sim.ErrMoved) {
			w.Header().Set("ETag", settingTag(moved))
		}
		refuse(w, err)
		return
	}
	a.log.Info("setting moved", "setting", name, "from", s.Value, "to", moved.Value)
	w.Header().Set("ETag", settingTag(moved))
	answer(w, settingBody{moved.Name, moved.Value, moved.Revision})
}
