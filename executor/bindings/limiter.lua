-- Count one in a window that begins with the first; 1 if that is within the limit, else 0.
-- Who goes over it is refused until the window ends or, if that is longer, for a time of its own.
-- KEYS[1] the counter. ARGV: limit, window in seconds, that time in seconds or 0.
local limit = tonumber(ARGV[1])
local count = redis.call('INCR', KEYS[1])
if count == 1 then
  redis.call('EXPIRE', KEYS[1], ARGV[2])
elseif count == limit + 1 and tonumber(ARGV[3]) > redis.call('TTL', KEYS[1]) then
  redis.call('EXPIRE', KEYS[1], ARGV[3])
end
if count > limit then
  return 0
end
return 1
