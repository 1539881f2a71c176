package run

const crashChild = "RUN_CRASH_CHILD"

func crashingConsole() int { return 0 }
