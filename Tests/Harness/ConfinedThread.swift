import Foundation
import Glibc
import Synchronization

/// Runs `body` on a thread where `io_uring_setup` fails with EPERM, as in a container whose seccomp profile lacks it.
///
/// A seccomp filter binds one thread and what it starts, so nothing else in this process notices. It needs no root.
package func withoutIOUring<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
    try await withCheckedThrowingContinuation { continuation in
        let thread = Thread {
            continuation.resume(with: Result {
                try denyIOUringSetup()
                return try body()
            })
        }
        thread.start()
    }
}

private func denyIOUringSetup() throws {
    // Classic BPF (linux/filter.h), one instruction in eight octets: 16 bits code, 8 jump if true, 8 jump if false, 32 k.
    func instruction(_ code: UInt64, _ jumpTrue: UInt64, _ jumpFalse: UInt64, _ k: UInt64) -> UInt64 {
        code | jumpTrue << 16 | jumpFalse << 24 | k << 32
    }
    let ioUringSetup: UInt64 = 425  // the same number on every architecture
    let allow: UInt64 = 0x7fff_0000
    let failWithEPERM: UInt64 = 0x0005_0001
    var program = [
        instruction(0x20, 0, 0, 0),  // load the system call's number
        instruction(0x15, 0, 1, ioUringSetup),
        instruction(0x06, 0, 0, failWithEPERM),
        instruction(0x06, 0, 0, allow),
    ]
    let noNewPrivileges: Int32 = 38
    let setSeccomp: Int32 = 22
    let filterMode: UInt = 2
    try control(noNewPrivileges, 1, 0)
    let count = UInt(program.count)
    unsafe try program.withUnsafeMutableBufferPointer { buffer throws -> Void in
        // struct sock_fprog: 16 bits of length, padding, a pointer.
        var header = [count, UInt(bitPattern: buffer.baseAddress)]
        unsafe try header.withUnsafeMutableBufferPointer { header throws -> Void in
            try control(setSeccomp, filterMode, UInt(bitPattern: header.baseAddress))
        }
    }
}

/// prctl(2), which Swift does not import because it is variadic.
private func control(_ option: Int32, _ first: UInt, _ second: UInt) throws {
    typealias Prctl = @convention(c) (Int32, UInt, UInt, UInt, UInt) -> Int32
    guard let symbol = unsafe dlsym(nil, "prctl") else { throw SocketError(description: "no prctl in the C library") }
    // SAFETY: on Linux, x86-64 and arm64, a variadic function takes integers in the registers of a plain one.
    let prctl = unsafe unsafeBitCast(symbol, to: Prctl.self)
    guard prctl(option, first, second, 0, 0) == 0 else { throw SocketError("prctl \(option)") }
}
