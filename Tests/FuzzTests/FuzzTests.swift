import Core
import Foundation
import FuzzTargets
import Testing

/// The fuzz targets of `make fuzz`, without a fuzzer: what is known, and random changes of it.
@Suite struct FuzzTests {
    @Test("everything that is known is read without a crash, also cut off anywhere", arguments: FuzzTarget.allCases)
    func corpus(target: FuzzTarget) {
        #expect(!target.seeds.isEmpty)
        for octets in target.seeds {
            target.run(octets)
            for count in stride(from: 0, to: octets.count, by: max(1, octets.count / 32)) { target.run(Array(octets[..<count])) }
        }
    }

    /// A crash leaves nothing but what was printed: FUZZ_SEED=… repeats it.
    @Test("random changes of it are read without a crash", arguments: FuzzTarget.allCases)
    func mutations(target: FuzzTarget) {
        let given = ProcessInfo.processInfo.environment["FUZZ_SEED"].flatMap { UInt64($0) }
        let seed = given ?? UInt64.random(in: 0...UInt64.max)
        print("fuzz \(target.rawValue): FUZZ_SEED=\(seed)")
        var random = SeededRandom(seed: seed)
        let seeds = target.seeds
        for _ in 0..<(target == .call ? 400 : 2_000) {
            var octets = seeds.randomElement(using: &random)!
            for _ in 0..<Int.random(in: 1...6, using: &random) { FuzzTarget.mutate(&octets, with: seeds, random: &random) }
            target.run(octets)
        }
    }
}
