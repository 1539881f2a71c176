package cli

import "github.com/spf13/cobra"

func (p *Program) runCommands(_ *options) []*cobra.Command { return nil }
