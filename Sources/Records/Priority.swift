import Glibc

/// Lets the calling thread give way to the others of this process, where all share a processor: what it writes can wait for some
/// milliseconds, a call and a packet can't.
///
/// A thread of the usual priority keeps the processor till the scheduler's next tick, up to 4 ms, when control has just run and
/// is needed again. It still gets a tenth of a processor that others use all the time.
func giveWay() {
    // Of the calling thread alone, on Linux. Fails at the worst, and then all is as usual.
    _ = setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, 10)
}
