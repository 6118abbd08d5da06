import argparse


def build():
    parser = argparse.ArgumentParser(prog="tool", description="Does things.", epilog="Bye.")
    parser.add_argument("source", help="where from")
    parser.add_argument("-n", "--number", type=int, default=3, metavar="N", help="how many (default: %(default)s)")
    parser.add_argument("-v", "--verbose", action="count", default=0)
    parser.add_argument("--flag", action=argparse.BooleanOptionalAction, default=False)
    parser.add_argument("--mode", choices=["fast", "slow"], default="fast")
    parser.add_argument("--tag", action="append", default=[])
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--on", action="store_true")
    group.add_argument("--off", action="store_true")
    return parser


args = build().parse_args(["in.txt", "-n", "5", "-vv", "--flag", "--tag", "a", "--tag=b", "--on"])
print(args)
print(args.source, args.number + 1, args.verbose, vars(args)["tag"], args.flag)
print(build().format_usage().strip())

parser = argparse.ArgumentParser(prog="git", formatter_class=argparse.RawTextHelpFormatter)
commands = parser.add_subparsers(dest="command", required=True)
add = commands.add_parser("add", help="add files")
add.add_argument("files", nargs="+")
add.set_defaults(run=lambda parsed: len(parsed.files))
parsed = parser.parse_args(["add", "x", "y"])
print(parsed.command, parsed.files, parsed.run(parsed))
known, rest = build().parse_known_args(["in.txt", "--what", "1"])
print(known.source, rest)


class Upper(argparse.Action):
    def __call__(self, parser, namespace, values, option_string=None):
        setattr(namespace, self.dest, values.upper())


def positive(text):
    if int(text) <= 0:
        raise argparse.ArgumentTypeError(f"{text} is not positive")
    return int(text)


custom = argparse.ArgumentParser(exit_on_error=False)
custom.add_argument("--name", action=Upper)
custom.add_argument("--count", type=positive)
print(custom.parse_args(["--name", "ann", "--count", "2"]))
try:
    custom.parse_args(["--count", "0"])
except argparse.ArgumentError as error:
    print(error)
namespace = argparse.Namespace(a=1)
namespace.b = 2
print(namespace, "b" in namespace, namespace == argparse.Namespace(a=1, b=2))
