internal import CProtobufC
internal import Glibc

/// Memory for the C form of one message: taken by moving a pointer, given back all at once.
///
/// Each thread keeps one arena with its first block, so that a small message costs no malloc. A handle is valid only inside
/// the `withArena` that made it.
public struct Arena {
    /// Block that stays with the thread: enough for the C form of nearly every message.
    private static let firstBlockBytes = 32 << 10

    struct State {
        /// Free memory of the current block.
        var next: UnsafeMutableRawPointer
        var end: UnsafeMutableRawPointer
        /// What may still be taken, in bytes.
        var remaining: Int
        /// True inside `withArena`.
        var isBusy = false
        let firstBlock: UnsafeMutableRawPointer
        /// Further blocks, freed when the message is done.
        var blocks: [UnsafeMutableRawPointer] = []
        /// Gives protobuf-c this arena's memory. It lies here because protobuf-c takes it by address.
        var allocator = ProtobufCAllocator()
    }

    let state: UnsafeMutablePointer<State>

    private init() {
        let first = UnsafeMutableRawPointer.allocate(byteCount: Self.firstBlockBytes, alignment: 16)
        state = .allocate(capacity: 1)
        state.initialize(to: State(next: first, end: first + Self.firstBlockBytes, remaining: 0, firstBlock: first))
        state.pointee.allocator = ProtobufCAllocator(
            alloc: { context, size in context.flatMap { Arena(state: $0.assumingMemoryBound(to: State.self)).take(size) } },
            free: { _, _ in },  // all at once, at the end of withArena
            allocator_data: UnsafeMutableRawPointer(state))
    }

    private init(state: UnsafeMutablePointer<State>) {
        self.state = state
    }

    private func destroy() {
        reset()
        state.pointee.firstBlock.deallocate()
        state.deinitialize(count: 1)
        state.deallocate()
    }

    private func reset() {
        if !state.pointee.blocks.isEmpty {
            for block in state.pointee.blocks { block.deallocate() }
            state.pointee.blocks.removeAll()
        }
        state.pointee.next = state.pointee.firstBlock
        state.pointee.end = state.pointee.firstBlock + Self.firstBlockBytes
    }
}

// MARK: - One arena a thread

extension Arena {
    private static let key: pthread_key_t = {
        var key = pthread_key_t()
        let result = pthread_key_create(&key) { state in
            guard let state else { return }
            Arena(state: state.assumingMemoryBound(to: State.self)).destroy()
        }
        precondition(result == 0, "no thread-specific key left")
        return key
    }()

    /// Runs `body` with this thread's arena, from which at most `limit` bytes can be taken.
    static func withArena<Result, Failure: Error>(
        limit: Int, _ body: (Arena) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        let arena = current()
        arena.state.pointee.remaining = limit
        arena.state.pointee.isBusy = true
        defer {
            arena.reset()
            arena.state.pointee.isBusy = false
            if pthread_getspecific(key) != UnsafeMutableRawPointer(arena.state) { arena.destroy() }
        }
        return try body(arena)
    }

    /// The thread's arena; a new one where that is in use, as when `allocate` of `serialize(into:)` encodes in turn.
    private static func current() -> Arena {
        if let kept = pthread_getspecific(key) {
            let arena = Arena(state: kept.assumingMemoryBound(to: State.self))
            return arena.state.pointee.isBusy ? Arena() : arena
        }
        let arena = Arena()
        pthread_setspecific(key, arena.state)
        return arena
    }
}

// MARK: - Taking memory

extension Arena {
    /// Uninitialized memory, aligned for every C type; nil once the arena's limit is reached.
    func take(_ size: Int) -> UnsafeMutableRawPointer? {
        // Beyond the limit first: rounding up a size close to Int.max would overflow.
        guard size >= 0, size <= state.pointee.remaining else { return nil }
        let rounded = (size &+ 15) & ~15
        state.pointee.remaining &-= min(rounded, state.pointee.remaining)
        if rounded > state.pointee.end - state.pointee.next {
            addBlock(atLeast: rounded)
        }
        let taken = state.pointee.next
        state.pointee.next = taken + rounded
        return taken
    }

    private func addBlock(atLeast size: Int) {
        let blockBytes = max(size, Self.firstBlockBytes << min(state.pointee.blocks.count, 5))
        let block = UnsafeMutableRawPointer.allocate(byteCount: blockBytes, alignment: 16)
        state.pointee.blocks.append(block)
        state.pointee.next = block
        state.pointee.end = block + blockBytes
    }

    /// Uninitialized memory for what we encode ourselves, where the arena has no limit.
    @usableFromInline
    func takeUnlimited(_ size: Int) -> UnsafeMutableRawPointer {
        guard let memory = take(size) else { preconditionFailure("an arena for encoding has no limit") }
        return memory
    }
}
