package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/spf13/cobra"
)

// resetCommand puts the rehearsal target back to where rehearsals begin: after
// one there is nothing left to roll back.
func resetCommand() *cobra.Command {
	var url string
	cmd := &cobra.Command{
		Use:   "reset",
		Short: "Put the rehearsal target back to where rehearsals begin",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), 10*time.Second)
			defer cancel()
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/v1/rehearsal/reset", nil)
			if err != nil {
				return fmt.Errorf("--admin: %w", err)
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				return fmt.Errorf("admin API: %w; is the drill running?", err)
			}
			defer func() { _ = resp.Body.Close() }() // read below as far as it is shown
			if resp.StatusCode != http.StatusOK {
				body, _ := io.ReadAll(io.LimitReader(resp.Body, 512)) // only for the message
				return fmt.Errorf("admin API: %s: %s", resp.Status, bytes.TrimSpace(body))
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&url, "admin", "", "base address of the admin API")
	_ = cmd.MarkFlagRequired("admin") // the flag exists
	return cmd
}
