/// How far a group of subscribers has come in the log of completions: which were sent, which of them acknowledged, and up to
/// which number everything is.
///
/// Sequence numbers that the group's filter leaves out count as acknowledged as soon as they have been passed.
struct GroupCursor: Sendable, Equatable {
    private struct Sent: Sendable, Equatable {
        var sequence: Int64
        var isAcknowledged: Bool
    }

    /// Everything up to here is acknowledged or not for this group. What is stored.
    private(set) var lowMark: Int64
    /// The log has been read up to here.
    private(set) var position: Int64
    /// What was sent after the low mark, by sequence; the first is never acknowledged.
    private var sent: [Sent] = []
    /// Entries of `sent` that are not acknowledged.
    private(set) var unacknowledgedCount = 0

    /// A cursor of a member that takes over, or returns, at `lowMark`.
    init(lowMark: Int64) {
        self.lowMark = lowMark
        position = lowMark
    }

    /// Whether a completion that is read again was acknowledged before.
    func isAcknowledged(_ sequence: Int64) -> Bool {
        if sequence <= lowMark { return true }
        return index(of: sequence).map { sent[$0].isAcknowledged } ?? false
    }

    /// A completion was handed over for sending. Numbers come in order; one that `rewind` brought back is known already.
    mutating func didSend(_ sequence: Int64) {
        precondition(sequence > position, "completions are sent in order")
        position = sequence
        if let last = sent.last, last.sequence >= sequence { return }
        sent.append(Sent(sequence: sequence, isAcknowledged: false))
        unacknowledgedCount += 1
    }

    /// The log holds nothing more for this group up to and including `sequence`.
    mutating func didPass(_ sequence: Int64) {
        position = max(position, sequence)
        moveLowMark()
    }

    /// Takes acknowledgements, in any order, repeated or unknown ones too. Returns whether the low mark moved.
    mutating func acknowledge(_ sequences: some Sequence<Int64>) -> Bool {
        for sequence in sequences {
            guard let index = index(of: sequence), !sent[index].isAcknowledged else { continue }
            sent[index].isAcknowledged = true
            unacknowledgedCount -= 1
        }
        let before = lowMark
        moveLowMark()
        return lowMark > before
    }

    /// Goes back to the low mark, because what was sent may be lost. What was acknowledged above it stays so.
    mutating func rewind() { position = lowMark }

    private mutating func moveLowMark() {
        let done = sent.prefix { $0.isAcknowledged }
        if let last = done.last {
            lowMark = last.sequence
            // Moves at most a window's entries, once an acknowledgement: a queue would save microseconds.
            sent.removeFirst(done.count)
        }
        if let first = sent.first {
            lowMark = max(lowMark, min(first.sequence - 1, position))
        } else {
            lowMark = max(lowMark, position)
        }
        position = max(position, lowMark)
    }

    /// Binary search: the numbers are sorted.
    private func index(of sequence: Int64) -> Int? {
        var (low, high) = (sent.startIndex, sent.endIndex)
        while low < high {
            let middle = (low + high) / 2
            if sent[middle].sequence < sequence { low = middle + 1 } else { high = middle }
        }
        return low < sent.endIndex && sent[low].sequence == sequence ? low : nil
    }
}
