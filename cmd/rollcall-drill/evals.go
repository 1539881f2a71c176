package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/spf13/cobra"

	"rollcall/cmd/rollcall-drill/sim"
)

// maxEvalResult is far more than the suite writes.
const maxEvalResult = 8 << 20

// evalsCommand runs the service's eval suite through the admin API. It exits 1
// when the suite fails, as promptfoo does, and writes the part of promptfoo's
// result format that says what passed.
func evalsCommand() *cobra.Command {
	var url, out string
	var rehearsal, candidate bool
	cmd := &cobra.Command{
		Use:   "evals",
		Short: "Run the eval suite against what is live",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			path := "/v1/evals"
			if rehearsal {
				path = "/v1/rehearsal/evals"
			}
			if candidate {
				path += "/candidate"
			}
			run, err := runEvals(cmd.Context(), url+path)
			if err != nil {
				return err
			}
			text, err := json.MarshalIndent(promptfoo(run), "", "  ")
			if err != nil {
				return err
			}
			text = append(text, '\n')
			if out == "" || out == "-" {
				_, err = cmd.OutOrStdout().Write(text)
			} else {
				err = os.WriteFile(out, text, 0o600)
			}
			if err != nil {
				return fmt.Errorf("eval result: %w", err)
			}
			if !run.Pass {
				return fmt.Errorf("%d of %d cases passed on %s; %.0f%% are needed", run.Passed, run.Cases, run.Manifest, 100*run.Threshold)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&url, "admin", "", "base address of the admin API")
	cmd.Flags().StringVarP(&out, "output", "o", "-", "file for the result; - is standard output")
	cmd.Flags().BoolVar(&rehearsal, "rehearsal", false, "against the versions of the rehearsal target")
	cmd.Flags().BoolVar(&candidate, "candidate", false, "against the canary")
	_ = cmd.MarkFlagRequired("admin") // the flag exists
	return cmd
}

func runEvals(ctx context.Context, url string) (run sim.EvalRun, err error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, nil)
	if err != nil {
		return run, fmt.Errorf("--admin: %w", err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return run, fmt.Errorf("admin API: %w; is the drill running?", err)
	}
	defer func() { _ = resp.Body.Close() }() // read to the end below
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxEvalResult))
	if err != nil {
		return run, fmt.Errorf("admin API: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return run, fmt.Errorf("admin API: %s: %s", resp.Status, bytes.TrimSpace(body))
	}
	if err := json.Unmarshal(body, &run); err != nil {
		return run, fmt.Errorf("admin API: %w", err)
	}
	return run, nil
}

// promptfoo writes a run in the shape of promptfoo's result file.
func promptfoo(run sim.EvalRun) map[string]any {
	results := make([]map[string]any, 0, len(run.Results))
	for i, c := range run.Results {
		score := 0.0
		if c.Pass {
			score = 1
		}
		results = append(results, map[string]any{
			"testIdx": i, "description": c.ID, "success": c.Pass, "score": score, "namedScores": c.Scores,
			"vars":          map[string]string{"route": c.Route},
			"gradingResult": map[string]any{"pass": c.Pass, "score": score, "reason": c.Reason},
		})
	}
	return map[string]any{
		"results": map[string]any{
			"version": 3, "results": results,
			"stats": map[string]int{"successes": run.Passed, "failures": run.Failed, "errors": 0},
		},
		"metadata": map[string]any{
			"suite": run.Suite, "manifest": run.Manifest, "versions": run.Versions, "scores": run.Scores, "threshold": run.Threshold,
		},
	}
}
