import re
if (m := re.match(r"(\w+)=(\d+)", "size=42")) and (n := int(m[2])) > 40:
    print(m[1], n)
while (chunk := [1, 2, 3][:1]) and False: pass
print(chunk)
