import Glibc

func yieldProcessor() { sched_yield() }

/// How many descriptors this process has open.
func openDescriptors() -> Int { (0..<20_000).count { fcntl($0, F_GETFD) >= 0 } }

/// Resident memory of this process.
func residentKilobytes() -> Int {
    guard let file = unsafe fopen("/proc/self/statm", "r") else { return 0 }
    defer { unsafe fclose(file) }
    var line = [UInt8](repeating: 0, count: 256)
    let count = unsafe line.withUnsafeMutableBytes { unsafe fread($0.baseAddress, 1, $0.count, file) }
    let fields = String(decoding: line[..<count], as: UTF8.self).split(separator: " ")
    return fields.count > 1 ? (Int(fields[1]) ?? 0) * sysconf(Int32(_SC_PAGESIZE)) / 1024 : 0
}
