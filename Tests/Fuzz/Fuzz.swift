import Foundation
import FuzzTargets

/// Of libFuzzer: runs `each` on inputs it makes up until its time is over, or something is found.
@_silgen_name("LLVMFuzzerRunDriver")
private func runDriver(
    _ count: UnsafeMutablePointer<Int32>, _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
    _ each: @convention(c) (UnsafePointer<UInt8>?, Int) -> Int32
) -> Int32

/// libFuzzer calls back a C function, which can capture nothing. Set once, before its one thread begins.
nonisolated(unsafe) private var target = FuzzTarget.sip

/// The program of `make fuzz`. FUZZ_TARGET names what is fed, FUZZ_SEEDS the folder in which libFuzzer finds its first inputs.
@main
struct Fuzz {
    static func main() {
        let environment = ProcessInfo.processInfo.environment
        guard let named = environment["FUZZ_TARGET"].flatMap(FuzzTarget.init(rawValue:)) else {
            print("FUZZ_TARGET is one of: \(FuzzTarget.allCases.map(\.rawValue).joined(separator: " "))")
            exit(64)
        }
        unsafe target = named
        if let folder = environment["FUZZ_SEEDS"] {
            for (number, octets) in named.seeds.enumerated() {
                try? Data(octets).write(to: URL(fileURLWithPath: "\(folder)/seed-\(number)"))
            }
        }
        var count = CommandLine.argc
        var arguments = unsafe CommandLine.unsafeArgv
        // SAFETY: both stay in place through the call; libFuzzer keeps `count` octets there while it runs.
        exit(unsafe runDriver(&count, &arguments) { octets, count in
            unsafe target.run(Array(UnsafeBufferPointer(start: octets, count: count)))
            return 0
        })
    }
}
