{ What ordinary Pascal programs do: one line a thing, "done" at the end. }
program ordinary;
{$mode objfpc}{$H+}
uses
  {$ifdef unix}cthreads,{$endif} SysUtils, Classes;

type
  TWorker = class(TThread)
  protected
    procedure Execute; override;
  end;

var
  counted: LongInt = 0;
  total, i: Int64;
  line, large: string;
  team: array[1..4] of TWorker;
  numbers: array of LongInt;
  lines: TStringList;
  out: TextFile;

procedure TWorker.Execute;
var
  n: Integer;
begin
  for n := 1 to 1000 do InterlockedIncrement(counted);
end;

function Depth(n: Int64): Int64;
begin
  if n = 0 then Exit(0);
  Depth := 1 + Depth(n - 1);
end;

begin
  ReadLn(line);
  WriteLn('input ', line);
  total := 0;
  for i := 0 to 2999999 do total := (total * 31 + i) mod 1000003;
  WriteLn('hot ', total);
  for i := 1 to 4 do team[i] := TWorker.Create(False);
  for i := 1 to 4 do begin team[i].WaitFor; team[i].Free; end;
  WriteLn('threads ', counted);
  try
    raise Exception.Create('dead');
  except
    on error: Exception do WriteLn('caught ', error.Message);
  end;
  SetLength(numbers, 1000);
  for i := 1 to 300 do SetLength(numbers, Length(numbers) + 10000);
  WriteLn('growth ', Length(numbers), ' ', Depth(100000));
  lines := TStringList.Create;
  lines.Add('b');
  lines.Add('a');
  lines.Sort;
  WriteLn('sorted ', lines[0], lines[1]);
  Sleep(5);
  Randomize;
  AssignFile(out, 'note.txt');
  Rewrite(out);
  WriteLn(out, 'kept');
  CloseFile(out);
  WriteLn('file ', FileExists('note.txt'), ' ', Now > 0);
  large := StringOfChar('x', 200000);
  WriteLn(large);
  WriteLn('done');
end.
