package cli

import (
	"fmt"

	"github.com/spf13/cobra"
)

func (p *Program) versionCommand(_ *options) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "version",
		Short: "What this is and how it was built",
		Args:  cobra.NoArgs,
	}
	format := output(cmd)
	cmd.RunE = func(*cobra.Command, []string) error {
		asJSON, err := asJSON(*format)
		if err != nil {
			return err
		}
		v := p.Version
		if asJSON {
			return writeJSON(p.Out, v)
		}
		_, err = fmt.Fprintf(p.Out, "rollcall %s", v.Version)
		if err == nil && v.Commit != "" {
			_, err = fmt.Fprintf(p.Out, " (%s, %s)", v.Commit, v.Built)
		}
		if err == nil {
			_, err = fmt.Fprintf(p.Out, " %s %s/%s\n", v.Go, v.OS, v.Arch)
		}
		return err
	}
	return cmd
}
