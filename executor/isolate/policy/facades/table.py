"""The library of workers: one entry a module, its public names, and why others are left out.

A name that is not listed does not exist for a worker. The names of a few modules are replaced by
guarded versions (:mod:`executor.isolate.policy.facades.replacements`).
"""

import errno
from dataclasses import dataclass, field

from executor.isolate.policy.facades.absent import (
    NO_CODE,
    NO_FILES,
    NO_NET,
    NO_PROCESS,
    NO_THREADS,
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One module: its names, and the reason for each notable one that is left out."""

    names: str = ""
    left_out: dict[str, str] = field(default_factory=dict)

    def listed(self) -> list[str]:
        """The names as a list."""
        return self.names.split()


MODULES: dict[str, Entry] = {
    "__future__": Entry(
        "annotations division absolute_import print_function unicode_literals generators "
        "nested_scopes with_statement generator_stop"
    ),
    "abc": Entry("ABC ABCMeta abstractmethod abstractproperty abstractclassmethod "
                 "abstractstaticmethod update_abstractmethods"),
    "argparse": Entry(
        "Action ArgumentDefaultsHelpFormatter ArgumentError ArgumentParser ArgumentTypeError "
        "BooleanOptionalAction FileType HelpFormatter MetavarTypeHelpFormatter Namespace "
        "ONE_OR_MORE OPTIONAL PARSER REMAINDER RawDescriptionHelpFormatter RawTextHelpFormatter "
        "SUPPRESS ZERO_OR_MORE"
    ),
    "array": Entry("array ArrayType typecodes"),
    "ast": Entry("literal_eval", {"parse": NO_CODE, "walk": NO_CODE}),
    "asyncio": Entry(
        "ALL_COMPLETED FIRST_COMPLETED FIRST_EXCEPTION AbstractEventLoop Barrier "
        "BoundedSemaphore BrokenBarrierError CancelledError Condition Event Future Handle "
        "IncompleteReadError InvalidStateError LifoQueue LimitOverrunError Lock PriorityQueue "
        "Queue QueueEmpty QueueFull Semaphore Task TaskGroup Timeout TimeoutError TimerHandle "
        "as_completed create_task current_task ensure_future gather get_event_loop "
        "get_running_loop iscoroutine iscoroutinefunction isfuture shield sleep timeout "
        "timeout_at to_thread wait wait_for",
        {
            "run": "the platform runs the loop; await the coroutine",
            "Runner": "the platform runs the loop; await the coroutine",
            "new_event_loop": "the platform runs the loop",
            "all_tasks": "the runtime's own tasks are among them; keep your tasks in a set",
            "open_connection": NO_NET,
            "start_server": NO_NET,
            "create_subprocess_exec": NO_PROCESS,
            "create_subprocess_shell": NO_PROCESS,
            "run_coroutine_threadsafe": NO_THREADS,
        },
    ),
    "base64": Entry(
        "a85decode a85encode b16decode b16encode b32decode b32encode b32hexdecode b32hexencode "
        "b64decode b64encode b85decode b85encode decodebytes encodebytes standard_b64decode "
        "standard_b64encode urlsafe_b64decode urlsafe_b64encode",
        {"encode": NO_FILES, "decode": NO_FILES},
    ),
    "binascii": Entry(
        "Error Incomplete a2b_base64 a2b_hex a2b_qp a2b_uu b2a_base64 b2a_hex b2a_qp b2a_uu "
        "crc32 crc_hqx hexlify unhexlify"
    ),
    "bisect": Entry("bisect bisect_left bisect_right insort insort_left insort_right"),
    "bz2": Entry("compress decompress", {"open": NO_FILES, "BZ2File": NO_FILES}),
    "calendar": Entry(
        "Calendar FRIDAY HTMLCalendar IllegalMonthError IllegalWeekdayError MONDAY SATURDAY "
        "SUNDAY THURSDAY TUESDAY TextCalendar WEDNESDAY calendar day_abbr day_name firstweekday "
        "isleap leapdays month month_abbr month_name monthcalendar monthrange setfirstweekday "
        "timegm weekday weekheader",
        {"LocaleTextCalendar": "the locale belongs to the process"},
    ),
    "cmath": Entry(
        "acos acosh asin asinh atan atanh cos cosh e exp inf infj isclose isfinite isinf isnan "
        "log log10 nan nanj phase pi polar rect sin sinh sqrt tan tanh tau"
    ),
    "codecs": Entry(
        "BOM BOM_BE BOM_LE BOM_UTF16 BOM_UTF16_BE BOM_UTF16_LE BOM_UTF32 BOM_UTF32_BE BOM_UTF32_LE "
        "BOM_UTF8 decode encode getincrementaldecoder getincrementalencoder iterdecode iterencode "
        "lookup open",
        {"register": "codecs belong to the interpreter", "getreader": "use io.TextIOWrapper"},
    ),
    "collections": Entry(
        "ChainMap Counter OrderedDict UserDict UserList UserString defaultdict deque namedtuple"
    ),
    "collections.abc": Entry(
        "AsyncGenerator AsyncIterable AsyncIterator Awaitable ByteString Callable Collection "
        "Container Coroutine Generator Hashable ItemsView Iterable Iterator KeysView Mapping "
        "MappingView MutableMapping MutableSequence MutableSet Reversible Sequence Set Sized "
        "ValuesView"
    ),
    "colorsys": Entry("hls_to_rgb hsv_to_rgb rgb_to_hls rgb_to_hsv rgb_to_yiq yiq_to_rgb"),
    "concurrent": Entry(),
    "concurrent.futures": Entry(
        "ALL_COMPLETED BrokenExecutor CancelledError Executor FIRST_COMPLETED FIRST_EXCEPTION "
        "Future InvalidStateError ThreadPoolExecutor TimeoutError as_completed wait",
        {"ProcessPoolExecutor": NO_PROCESS},
    ),
    "configparser": Entry(
        "BasicInterpolation ConfigParser DEFAULTSECT DuplicateOptionError DuplicateSectionError "
        "Error ExtendedInterpolation Interpolation InterpolationDepthError InterpolationError "
        "InterpolationMissingOptionError InterpolationSyntaxError LegacyInterpolation "
        "MAX_INTERPOLATION_DEPTH MissingSectionHeaderError NoOptionError NoSectionError "
        "ParsingError RawConfigParser SectionProxy"
    ),
    "contextlib": Entry(
        "AbstractAsyncContextManager AbstractContextManager AsyncContextDecorator AsyncExitStack "
        "ContextDecorator ExitStack aclosing asynccontextmanager closing contextmanager "
        "nullcontext redirect_stderr redirect_stdout suppress",
        {"chdir": NO_FILES},
    ),
    "contextvars": Entry("Context ContextVar Token copy_context"),
    "copy": Entry("Error copy deepcopy"),
    "csv": Entry(
        "Dialect DictReader DictWriter Error QUOTE_ALL QUOTE_MINIMAL QUOTE_NONE QUOTE_NONNUMERIC "
        "Sniffer excel excel_tab field_size_limit get_dialect list_dialects reader "
        "register_dialect unix_dialect unregister_dialect writer"
    ),
    "dataclasses": Entry(
        "FrozenInstanceError InitVar KW_ONLY MISSING asdict astuple dataclass field fields "
        "is_dataclass replace",
        {
            "Field": "its name becomes part of generated source; use field()",
            "make_dataclass": "use a class statement",
        },
    ),
    "datetime": Entry("MAXYEAR MINYEAR UTC date datetime time timedelta timezone tzinfo"),
    "decimal": Entry(
        "BasicContext Clamped Context ConversionSyntax Decimal DecimalException DecimalTuple "
        "DefaultContext DivisionByZero DivisionImpossible DivisionUndefined ExtendedContext "
        "FloatOperation HAVE_THREADS Inexact InvalidContext InvalidOperation MAX_EMAX MAX_PREC "
        "MIN_EMIN MIN_ETINY Overflow ROUND_05UP ROUND_CEILING ROUND_DOWN ROUND_FLOOR "
        "ROUND_HALF_DOWN ROUND_HALF_EVEN ROUND_HALF_UP ROUND_UP Rounded Subnormal Underflow "
        "getcontext localcontext setcontext"
    ),
    "difflib": Entry(
        "Differ HtmlDiff IS_CHARACTER_JUNK IS_LINE_JUNK SequenceMatcher context_diff diff_bytes "
        "get_close_matches ndiff restore unified_diff"
    ),
    "email": Entry("message_from_bytes message_from_string", {"message_from_file": NO_FILES}),
    "email.encoders": Entry("encode_7or8bit encode_base64 encode_noop encode_quopri"),
    "email.errors": Entry(
        "BoundaryError CharsetError HeaderDefect HeaderParseError HeaderWriteError MessageDefect "
        "MessageError MessageParseError MultipartConversionError"
    ),
    "email.header": Entry("Header decode_header make_header"),
    "email.headerregistry": Entry("Address Group"),
    "email.message": Entry("EmailMessage Message"),
    "email.mime": Entry(),
    "email.mime.application": Entry("MIMEApplication"),
    "email.mime.base": Entry("MIMEBase"),
    "email.mime.image": Entry("MIMEImage"),
    "email.mime.message": Entry("MIMEMessage"),
    "email.mime.multipart": Entry("MIMEMultipart"),
    "email.mime.nonmultipart": Entry("MIMENonMultipart"),
    "email.mime.text": Entry("MIMEText"),
    "email.parser": Entry("BytesParser Parser"),
    "email.policy": Entry("Compat32 EmailPolicy HTTP SMTP SMTPUTF8 compat32 default strict"),
    "email.utils": Entry(
        "collapse_rfc2231_value decode_params decode_rfc2231 encode_rfc2231 format_datetime "
        "formataddr formatdate getaddresses localtime make_msgid mktime_tz parseaddr parsedate "
        "parsedate_to_datetime parsedate_tz quote unquote",
    ),
    "enum": Entry(
        "CONFORM CONTINUOUS EJECT Enum EnumMeta EnumType Flag FlagBoundary IntEnum IntFlag KEEP "
        "NAMED_FLAGS ReprEnum STRICT StrEnum UNIQUE auto global_enum_repr member nonmember "
        "property unique verify",
        {"global_enum": "it writes into a module"},
    ),
    "errno": Entry(" ".join(sorted(name for name in vars(errno) if not name.startswith("_")))),
    "fnmatch": Entry("filter fnmatch fnmatchcase translate"),
    "fractions": Entry("Fraction"),
    "functools": Entry(
        "WRAPPER_ASSIGNMENTS WRAPPER_UPDATES cache cached_property cmp_to_key lru_cache partial "
        "partialmethod reduce singledispatch singledispatchmethod total_ordering update_wrapper "
        "wraps"
    ),
    "gc": Entry(
        "collect disable enable isenabled",
        dict.fromkeys(("get_objects", "get_referrers", "get_referents"),
                      "it lists objects of the interpreter"),
    ),
    "getopt": Entry("GetoptError error getopt gnu_getopt"),
    "graphlib": Entry("CycleError TopologicalSorter"),
    "gzip": Entry("BadGzipFile compress decompress", {"open": NO_FILES, "GzipFile": NO_FILES}),
    "hashlib": Entry(
        "algorithms_available algorithms_guaranteed blake2b blake2s md5 new pbkdf2_hmac scrypt "
        "sha1 sha224 sha256 sha384 sha3_224 sha3_256 sha3_384 sha3_512 sha512 shake_128 "
        "shake_256",
        {"file_digest": NO_FILES},
    ),
    "heapq": Entry("heapify heappop heappush heappushpop heapreplace merge nlargest nsmallest"),
    "hmac": Entry("HMAC compare_digest digest new"),
    "html": Entry("escape unescape"),
    "html.parser": Entry("HTMLParser"),
    "html.entities": Entry("codepoint2name entitydefs html5 name2codepoint"),
    "http": Entry("HTTPMethod HTTPStatus"),
    "http.cookies": Entry("BaseCookie CookieError Morsel SimpleCookie"),
    "importlib": Entry("import_module", {"reload": NO_CODE, "util": NO_CODE}),
    "inspect": Entry(
        "BoundArguments FullArgSpec Parameter Signature cleandoc get_annotations getdoc "
        "getfullargspec getmembers isabstract isasyncgen isasyncgenfunction isawaitable isbuiltin "
        "isclass iscoroutine iscoroutinefunction isdatadescriptor isfunction isgenerator "
        "isgeneratorfunction ismethod ismodule isroutine signature unwrap",
        {
            "currentframe": "frames lead into the runtime",
            "stack": "frames lead into the runtime",
            "getattr_static": "it reads past the guard; use getattr()",
            "getsource": "no source is kept beside the compiled code",
        },
    ),
    "io": Entry(
        "BufferedIOBase BufferedReader BytesIO DEFAULT_BUFFER_SIZE IOBase RawIOBase SEEK_CUR "
        "SEEK_END SEEK_SET StringIO TextIOBase TextIOWrapper UnsupportedOperation open",
        {"FileIO": NO_FILES},
    ),
    "ipaddress": Entry(
        "AddressValueError IPv4Address IPv4Interface IPv4Network IPv6Address IPv6Interface "
        "IPv6Network NetmaskValueError collapse_addresses get_mixed_type_key ip_address "
        "ip_interface ip_network summarize_address_range v4_int_to_packed v6_int_to_packed"
    ),
    "itertools": Entry(
        "accumulate batched chain combinations combinations_with_replacement compress count cycle "
        "dropwhile filterfalse groupby islice pairwise permutations product repeat starmap "
        "takewhile tee zip_longest"
    ),
    "json": Entry("JSONDecodeError JSONDecoder JSONEncoder dump dumps load loads"),
    "keyword": Entry("iskeyword issoftkeyword kwlist softkwlist"),
    "logging": Entry(
        "CRITICAL DEBUG ERROR FATAL Filter Formatter Handler INFO LogRecord Logger LoggerAdapter "
        "NOTSET NullHandler StreamHandler WARN WARNING addLevelName basicConfig captureWarnings "
        "critical debug disable error exception getLevelName getLogger info log raiseExceptions "
        "root shutdown warn warning",
        {"FileHandler": NO_FILES},
    ),
    "logging.config": Entry(
        "dictConfig",
        {"fileConfig": "use dictConfig()", "listen": NO_NET},
    ),
    "lzma": Entry(
        "CHECK_CRC32 CHECK_CRC64 CHECK_NONE CHECK_SHA256 FORMAT_ALONE FORMAT_AUTO FORMAT_RAW "
        "FORMAT_XZ LZMAError PRESET_DEFAULT PRESET_EXTREME compress decompress",
        {"open": NO_FILES, "LZMAFile": NO_FILES},
    ),
    "math": Entry(
        "acos acosh asin asinh atan atan2 atanh cbrt ceil comb copysign cos cosh degrees dist e "
        "erf erfc exp exp2 expm1 fabs factorial floor fmod frexp fsum gamma gcd hypot inf isclose "
        "isfinite isinf isnan isqrt lcm ldexp lgamma log log10 log1p log2 modf nan nextafter perm "
        "pi pow prod radians remainder sin sinh sqrt sumprod tan tanh tau trunc ulp fma"
    ),
    "mimetypes": Entry(
        "add_type common_types encodings_map guess_all_extensions guess_extension guess_type "
        "suffix_map types_map",
        {"init": NO_FILES, "read_mime_types": NO_FILES, "MimeTypes": NO_FILES},
    ),
    "numbers": Entry("Complex Integral Number Rational Real"),
    "operator": Entry(
        "abs add and_ attrgetter call concat contains countOf delitem eq floordiv ge getitem gt "
        "iadd iand iconcat ifloordiv ilshift imatmul imod imul index indexOf inv invert ior ipow "
        "irshift is_ is_not isub itemgetter itruediv ixor le length_hint lshift lt matmul "
        "methodcaller mod mul ne neg not_ or_ pos pow rshift setitem sub truediv truth xor"
    ),
    "os": Entry(
        "altsep cpu_count curdir devnull environ error extsep fsdecode fsencode fspath getcwd "
        "getenv linesep listdir name pardir PathLike pathsep sep strerror urandom walk",
        {
            **dict.fromkeys(
                ("open", "mkdir", "makedirs", "remove", "rename", "scandir", "stat", "unlink",
                 "chdir", "rmdir"),
                NO_FILES,
            ),
            **dict.fromkeys(
                ("system", "popen", "fork", "execv", "spawnv", "kill", "getpid"), NO_PROCESS
            ),
        },
    ),
    "os.path": Entry(
        "abspath altsep basename commonpath commonprefix curdir devnull dirname exists expanduser "
        "extsep getsize isabs isdir isfile islink join lexists normcase normpath pardir pathsep "
        "realpath relpath sep split splitdrive splitext",
        {"getmtime": NO_FILES},
    ),
    "pathlib": Entry("Path PosixPath PurePath PurePosixPath"),
    "platform": Entry(
        "architecture machine node platform python_compiler python_implementation python_version "
        "python_version_tuple release system version"
    ),
    "posixpath": Entry("basename commonpath dirname isabs join normpath sep split splitext"),
    "pprint": Entry("PrettyPrinter isreadable isrecursive pformat pp pprint saferepr"),
    "queue": Entry(
        "Empty Full LifoQueue PriorityQueue Queue ShutDown SimpleQueue",
    ),
    "quopri": Entry("decodestring encodestring"),
    "random": Entry(
        "Random SystemRandom betavariate binomialvariate choice choices expovariate gammavariate "
        "gauss "
        "getrandbits getstate lognormvariate normalvariate paretovariate randbytes randint random "
        "randrange sample seed setstate shuffle triangular uniform vonmisesvariate weibullvariate"
    ),
    "re": Entry(
        "A ASCII DOTALL I IGNORECASE L LOCALE M MULTILINE Match NOFLAG Pattern PatternError "
        "RegexFlag S U UNICODE VERBOSE X compile error escape findall finditer fullmatch match "
        "purge search split sub subn",
        {"Scanner": "undocumented"},
    ),
    "reprlib": Entry("Repr recursive_repr repr"),
    "secrets": Entry(
        "SystemRandom choice compare_digest randbelow randbits token_bytes token_hex "
        "token_urlsafe"
    ),
    "shlex": Entry("join quote split"),
    "statistics": Entry(
        "NormalDist StatisticsError correlation covariance fmean geometric_mean harmonic_mean "
        "linear_regression mean median median_grouped median_high median_low mode multimode "
        "pstdev pvariance quantiles stdev variance"
    ),
    "string": Entry(
        "Formatter Template ascii_letters ascii_lowercase ascii_uppercase capwords digits "
        "hexdigits octdigits printable punctuation whitespace"
    ),
    "struct": Entry("Struct calcsize error iter_unpack pack pack_into unpack unpack_from"),
    "sys": Entry(
        "api_version argv builtin_module_names byteorder copyright dont_write_bytecode exc_info "
        "exception executable exit float_info float_repr_style get_int_max_str_digits "
        "getdefaultencoding getfilesystemencoding getrecursionlimit getrefcount getsizeof "
        "hash_info hexversion implementation int_info intern maxsize maxunicode modules orig_argv "
        "path platform prefix setrecursionlimit stderr stdin stdlib_module_names stdout version "
        "version_info warnoptions",
        {
            "settrace": "frames lead into the runtime",
            "setprofile": "frames lead into the runtime",
            "_getframe": "frames lead into the runtime",
        },
    ),
    "textwrap": Entry("TextWrapper dedent fill indent shorten wrap"),
    "threading": Entry(
        "Barrier BoundedSemaphore BrokenBarrierError Condition Event Lock RLock Semaphore "
        "active_count current_thread enumerate get_ident local main_thread",
        {"Thread": NO_THREADS, "Timer": NO_THREADS},
    ),
    "time": Entry(
        "altzone asctime ctime daylight gmtime localtime mktime monotonic monotonic_ns "
        "perf_counter perf_counter_ns process_time process_time_ns sleep strftime strptime "
        "struct_time time time_ns timezone tzname",
    ),
    "timeit": Entry(
        "default_timer", dict.fromkeys(("timeit", "repeat", "Timer"), "use time.perf_counter()")
    ),
    "tomllib": Entry("TOMLDecodeError load loads"),
    "traceback": Entry(
        "extract_tb format_list format_exc format_exception format_exception_only format_tb "
        "print_exc print_exception print_tb",
        {
            "walk_tb": "frames lead into the runtime",
            "walk_stack": "frames lead into the runtime",
        },
    ),
    "types": Entry(
        "AsyncGeneratorType BuiltinFunctionType BuiltinMethodType CellType "
        "ClassMethodDescriptorType CodeType CoroutineType DynamicClassAttribute EllipsisType "
        "FrameType FunctionType GeneratorType GenericAlias GetSetDescriptorType LambdaType "
        "MappingProxyType MemberDescriptorType MethodDescriptorType MethodType MethodWrapperType "
        "ModuleType NoneType NotImplementedType SimpleNamespace TracebackType UnionType "
        "WrapperDescriptorType",
        {
            "new_class": "use a class statement",
            "prepare_class": "metaclasses are not available",
            "coroutine": "use async def",
        },
    ),
    "typing": Entry(
        "AbstractSet Annotated Any AnyStr AsyncContextManager AsyncGenerator AsyncIterable "
        "AsyncIterator Awaitable BinaryIO ByteString Callable ChainMap ClassVar Collection "
        "Concatenate Container ContextManager Coroutine Counter DefaultDict Deque Dict Final "
        "ForwardRef FrozenSet Generator Generic Hashable IO ItemsView Iterable Iterator KeysView "
        "List Literal LiteralString Mapping MappingView Match MutableMapping MutableSequence "
        "MutableSet NamedTuple Never NewType NoReturn NotRequired Optional OrderedDict ParamSpec "
        "ParamSpecArgs ParamSpecKwargs Pattern Protocol Required Reversible Self Sequence Set "
        "Sized SupportsAbs SupportsBytes SupportsComplex SupportsFloat SupportsIndex SupportsInt "
        "SupportsRound TYPE_CHECKING Text TextIO Tuple Type TypeAlias TypeGuard TypeVar "
        "TypeVarTuple TypedDict Union Unpack ValuesView assert_never assert_type cast "
        "clear_overloads dataclass_transform final no_type_check reveal_type "
        "get_args get_origin get_overloads "
        "get_type_hints is_typeddict overload override "
        "runtime_checkable"
    ),
    "unicodedata": Entry(
        "UCD bidirectional category combining decimal decomposition digit east_asian_width "
        "is_normalized lookup mirrored name normalize numeric ucd_3_2_0 unidata_version"
    ),
    "unittest": Entry(
        "SkipTest TestCase expectedFailure main skip skipIf skipUnless",
        {"mock": "test a worker where you write it, outside of the worker"},
    ),
    "urllib": Entry("", {"request": NO_NET}),
    "urllib.error": Entry("ContentTooShortError URLError", {"HTTPError": "fetch() raises none"}),
    "urllib.parse": Entry(
        "DefragResult DefragResultBytes ParseResult ParseResultBytes SplitResult SplitResultBytes "
        "parse_qs parse_qsl quote quote_from_bytes quote_plus unquote unquote_plus "
        "unquote_to_bytes urldefrag urlencode urljoin urlparse urlsplit urlunparse urlunsplit"
    ),
    "uuid": Entry(
        "NAMESPACE_DNS NAMESPACE_OID NAMESPACE_URL NAMESPACE_X500 RESERVED_FUTURE "
        "RESERVED_MICROSOFT RESERVED_NCS RFC_4122 SafeUUID UUID uuid3 uuid4 uuid5",
        {"uuid1": "it reads the host's network address; use uuid4()",
         "getnode": "it reads the host's network address"},
    ),
    "warnings": Entry("catch_warnings filterwarnings resetwarnings simplefilter warn"),
    "weakref": Entry(
        "KeyedRef ProxyType ProxyTypes ReferenceType WeakKeyDictionary WeakMethod WeakSet "
        "WeakValueDictionary finalize proxy ref",
        {"getweakrefs": "it lists the runtime's references"},
    ),
    "xml": Entry(),
    "xml.etree": Entry(),
    "xml.etree.ElementTree": Entry(
        "Comment Element ElementTree PI ParseError ProcessingInstruction QName "
        "SubElement TreeBuilder VERSION XML XMLID XMLParser XMLPullParser canonicalize dump "
        "fromstring fromstringlist indent iselement iterparse parse register_namespace tostring "
        "tostringlist"
    ),
    "xml.sax": Entry("", {"parse": "use xml.etree.ElementTree"}),
    "xml.sax.saxutils": Entry("escape quoteattr unescape"),
    "zlib": Entry(
        "DEFLATED DEF_BUF_SIZE DEF_MEM_LEVEL MAX_WBITS ZLIB_VERSION Z_BEST_COMPRESSION "
        "Z_BEST_SPEED Z_DEFAULT_COMPRESSION Z_DEFAULT_STRATEGY Z_FILTERED Z_FINISH Z_FIXED "
        "Z_FULL_FLUSH Z_HUFFMAN_ONLY Z_NO_COMPRESSION Z_NO_FLUSH Z_PARTIAL_FLUSH Z_RLE "
        "Z_SYNC_FLUSH adler32 compress compressobj crc32 decompress decompressobj error"
    ),
    "zoneinfo": Entry(
        "InvalidTZPathWarning ZoneInfo ZoneInfoNotFoundError available_timezones",
        {"reset_tzpath": NO_FILES, "TZPATH": NO_FILES},
    ),
}  # fmt: skip

FACADE_NAMES: frozenset[str] = frozenset(MODULES)
