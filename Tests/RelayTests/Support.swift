import Glibc

func yieldProcessor() { sched_yield() }

/// How many descriptors this process has open.
func openDescriptors() -> Int { (0..<20_000).count { fcntl($0, F_GETFD) >= 0 } }
