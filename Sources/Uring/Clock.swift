public import Core
internal import CURing
internal import Glibc

/// The clock everything is timed by.
public enum MonotonicClock {
    public static var now: Instant {
        var time = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &time)
        return Instant(nanoseconds: UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec))
    }
}

/// The clock records and events show.
public enum WallClock {
    public static var now: WallTime { WallTime(milliseconds: microseconds / 1_000) }

    /// Since 1970, UTC.
    public static var microseconds: Int64 {
        var time = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1_000
    }
}

/// What this thread has cost.
public enum ThreadClock {
    /// Processor time of the calling thread in nanoseconds, the kernel's work for it included. A system call.
    public static var nanoseconds: UInt64 { curing_thread_time() }
}
