import Glibc

func yieldProcessor() { sched_yield() }
