{ "accepted 1 2": the sum; and what else can become of a program. }
{$mode objfpc}{$H+}
uses SysUtils;

var
  line, mode: string;
  words: array of string;
  kept: array of array of byte;
  turns: Int64;

begin
  ReadLn(line);
  words := line.Split([' ']);
  mode := words[0];
  if mode = 'crash' then raise Exception.Create(mode);
  turns := 0;
  while mode = 'loop' do Inc(turns);
  while mode = 'memory' do begin
    SetLength(kept, Length(kept) + 1);
    SetLength(kept[High(kept)], 1 shl 20);
    FillChar(kept[High(kept)][0], 1 shl 20, 1);
  end;
  if mode = 'wrong' then Inc(turns);
  WriteLn(StrToInt(words[1]) + StrToInt(words[2]) + turns);
end.
