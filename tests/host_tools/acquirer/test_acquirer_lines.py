"""Lines held against a host of the test's own, which answers when and how it likes."""

import asyncio

import pytest
from flagfall_host.acquirer import message
from flagfall_host.acquirer.codec import Message, decode, encode, with_length
from flagfall_host.acquirer.errors import AcquirerError, NoAnswer
from flagfall_host.acquirer.lines import ASKS, Lines
from flagfall_host.acquirer.message import Terminal
from flagfall_host.acquirer.profile import Profile

PROFILE = Profile.load().waiting(0.2)
A, B = (Terminal(f"1000000{n}", "880210010210160") for n in (1, 2))


def echo(terminal, stan=1):
    return message.echo(PROFILE, terminal, stan, 1)


def answer_to(frame, **changes):
    question = decode(PROFILE, frame)
    fields = {n: question.fields[n] for n in ("11", "41")} | {"39": "00"} | changes
    return with_length(PROFILE, encode(PROFILE, Message("0830", fields)))


def talk(react, ask, connections=1):
    """`react(frames so far, frame, writer)` is the host, `ask(lines)` what is tried."""

    async def whole():
        frames = []

        async def connection(reader, writer):
            try:
                while True:
                    size = int.from_bytes(await reader.readexactly(2), "big")
                    frame = await reader.readexactly(size)
                    frames.append(frame)
                    await react(frames, frame, writer)
            except (EOFError, OSError):
                writer.close()

        server = await asyncio.start_server(connection, "127.0.0.1", 0)
        lines = Lines(PROFILE, *server.sockets[0].getsockname(), connections)
        try:
            return await ask(lines), frames, lines.counters
        finally:
            lines.close()
            server.close()

    return asyncio.run(whole())


def test_a_time_out_repeats_the_same_bytes_and_nothing_else():
    async def silent(_frames, _frame, _writer):
        pass

    async def ask(lines):
        with pytest.raises(NoAnswer, match="stays unknown"):
            await lines.ask(echo(A))

    _, frames, counters = talk(silent, ask)
    assert len(frames) == ASKS and len(set(frames)) == 1
    assert counters.connections == ASKS  # a line that stays silent is given up


def test_an_answer_that_comes_late_still_is_the_answer_and_a_later_one_is_passed_over():
    async def late(frames, frame, writer):
        writer.write(answer_to(frame, **{"41": B.terminal_id}))  # the line is not silent
        if len(frames) == 2:
            writer.write(answer_to(frames[0]) + answer_to(frame))
        if len(frames) == 3:
            writer.write(answer_to(frames[0]) + answer_to(frame))

    async def ask(lines):
        first = await lines.ask(echo(A, 1))
        second = await lines.ask(echo(A, 2))
        return first.fields["11"], second.fields["11"]

    stans, frames, counters = talk(late, ask)
    assert stans == ("000001", "000002") and len(frames) == 3
    assert counters.unanswered == 1 and counters.connections == 1
    assert counters.late == 5  # three of another terminal, one twice, one of an old question


def test_answers_find_their_terminals_in_any_order():
    async def crossed(frames, _frame, writer):
        if len(frames) == 2:
            writer.write(answer_to(frames[1]) + answer_to(frames[0]))

    async def ask(lines):
        return await asyncio.gather(lines.ask(echo(A, 7)), lines.ask(echo(B, 7)))

    (a, b), frames, counters = talk(crossed, ask)
    assert (a.fields["41"], b.fields["41"]) == (A.terminal_id, B.terminal_id)
    assert len(frames) == 2 and counters.late == 0 and counters.connections == 1


def test_a_terminal_has_one_question_in_flight():
    async def slow(frames, frame, writer):
        await asyncio.sleep(0.05)
        writer.write(answer_to(frame))

    async def ask(lines):
        first = asyncio.ensure_future(lines.ask(echo(A, 1)))
        await asyncio.sleep(0.02)
        with pytest.raises(AcquirerError, match="a question in flight"):
            await lines.ask(echo(A, 2))
        await first

    _, frames, _ = talk(slow, ask)
    assert len(frames) == 1


def test_noise_on_a_line_asks_everybody_on_it_again():
    async def noise(frames, frame, writer):
        if len(frames) == 2:
            writer.write(b"\0\5noise")
        if len(frames) > 2:
            writer.write(answer_to(frame))

    async def ask(lines):
        return await asyncio.gather(lines.ask(echo(A)), lines.ask(echo(B)))

    _, frames, counters = talk(noise, ask)
    assert len(frames) == 4 and set(frames[:2]) == set(frames[2:])
    assert counters.garbled == 1 and counters.unanswered == 2 and counters.connections == 2


def test_many_terminals_share_the_lines_and_a_host_that_is_gone_fails_them_all_soon():
    async def fast(_frames, frame, writer):
        await asyncio.sleep(0.01)
        writer.write(answer_to(frame))

    terminals = [Terminal(f"2{n:07d}", "880210010210160") for n in range(100)]

    async def ask(lines):
        return await asyncio.gather(*(lines.ask(echo(t)) for t in terminals))

    answers, _, counters = talk(fast, ask, connections=3)
    assert [a.fields["41"] for a in answers] == [t.terminal_id for t in terminals]
    assert counters.connections == 3

    async def nobody():
        lines = Lines(PROFILE, "127.0.0.1", 1, 3)
        asked = (lines.ask(echo(t)) for t in terminals)
        return await asyncio.gather(*asked, return_exceptions=True)

    failed = asyncio.run(nobody())
    assert {type(e) for e in failed} == {NoAnswer} and "connection refused" in str(failed[0])
