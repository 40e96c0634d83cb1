// The terminal's half of the bridge: answers the questions that terminal.py writes into MQL4\Files\bridge.
// Attach it to any one chart with automated trading allowed. What is asked and answered is in ..\mt5\README.md.
#property strict

input int PollMs = 10;
const string ASK = "bridge\\ask.txt";

int OnInit()
  {
   EventSetMillisecondTimer(PollMs);
   return(INIT_SUCCEEDED);
  }

void OnDeinit(const int reason) { EventKillTimer(); }

void OnTimer()
  {
   if(!FileIsExist(ASK))
      return;
   int file = FileOpen(ASK, FILE_READ | FILE_TXT | FILE_ANSI);
   if(file == INVALID_HANDLE)
      return;
   string line = FileReadString(file);
   FileClose(file);
   // Gone before anything is done: what is asked once is never done twice.
   if(!FileDelete(ASK))
      return;
   string words[];
   int count = StringSplit(line, '\t', words);
   if(count < 2)
      return;
   string rows = Answer(words, count);
   string fresh = "bridge\\answer-" + words[0] + ".tmp";
   file = FileOpen(fresh, FILE_WRITE | FILE_TXT | FILE_ANSI);
   if(file == INVALID_HANDLE)
      return;
   FileWriteString(file, rows);
   FileClose(file);
   FileMove(fresh, 0, "bridge\\answer-" + words[0] + ".txt", FILE_REWRITE);
  }

string Answer(string &words[], int count)
  {
   string ask = words[1];
   if(ask == "account")
      return(AccountCurrency() + "\t" + Text(AccountBalance(), 2) + "\t" + Text(AccountFreeMargin(), 2) + "\n");
   if(ask == "symbol" && count == 3)
      return(Terms(words[2]));
   if(ask == "tick" && count == 3)
      return(Tick(words[2]));
   if(ask == "send" && count == 8)
      return(Send(words));
   if(ask == "delete" && count == 3)
      return(Delete((int)StringToInteger(words[2])));
   if(ask == "orders" && count == 3)
      return(Orders(words[2] == "open" ? MODE_TRADES : MODE_HISTORY));
   return("");
  }

string Terms(string name)
  {
   if(!SymbolSelect(name, true))
      return("");
   double least = MarketInfo(name, MODE_MINLOT), most = MarketInfo(name, MODE_MAXLOT);
   string bounds = Text(least, 8) + "\t" + Text(most, 8) + "\t" + Text(MarketInfo(name, MODE_LOTSTEP), 8);
   int mode = MarketInfo(name, MODE_TRADEALLOWED) > 0 ? 4 : 0;
   return((string)(int)MarketInfo(name, MODE_DIGITS) + "\t" + bounds + "\t" + (string)mode + "\n");
  }

string Tick(string name)
  {
   MqlTick tick;
   if(!SymbolInfoTick(name, tick))
      return("");
   int digits = (int)MarketInfo(name, MODE_DIGITS);
   return(Text(tick.bid, digits) + "\t" + Text(tick.ask, digits) + "\t" + Utc(tick.time) + "\n");
  }

string Send(string &words[])
  {
   string name = words[2];
   int kind = (int)StringToInteger(words[3]);
   double lots = StringToDouble(words[4]), price = StringToDouble(words[5]);
   RefreshRates();
   // A deal goes at the market, so the limit is looked at here: never worse than asked.
   if(kind == OP_BUY && MarketInfo(name, MODE_ASK) > price)
      return("138\t0\t0\n");
   if(kind == OP_SELL && MarketInfo(name, MODE_BID) < price)
      return("138\t0\t0\n");
   if(kind == OP_BUY)
      price = MarketInfo(name, MODE_ASK);
   if(kind == OP_SELL)
      price = MarketInfo(name, MODE_BID);
   ResetLastError();
   int ticket = OrderSend(name, kind, lots, price, 0, 0, 0, words[6], (int)StringToInteger(words[7]), 0, clrNONE);
   if(ticket < 0)
      return((string)Failure() + "\t0\t0\n");
   // A ticket that cannot be read back is there all the same; how much of it is what the lists will say.
   double done = OrderSelect(ticket, SELECT_BY_TICKET) ? OrderLots() : lots;
   return("0\t" + (string)ticket + "\t" + Text(done, 8) + "\n");
  }

string Delete(int ticket)
  {
   ResetLastError();
   bool done = OrderDelete(ticket);
   return((string)(done ? 0 : Failure()) + "\t" + (string)ticket + "\t0\n");
  }

// A failure without a code is "no result", which leaves everything open.
int Failure()
  {
   int code = GetLastError();
   return(code == 0 ? 1 : code);
  }

string Orders(int pool)
  {
   string rows = "";
   int total = pool == MODE_TRADES ? OrdersTotal() : OrdersHistoryTotal();
   for(int place = 0; place < total; place++)
     {
      if(!OrderSelect(place, SELECT_BY_POS, pool) || OrderType() > OP_SELLLIMIT)
         continue;
      string row = (string)OrderTicket() + "\t" + (string)OrderType() + "\t" + Text(OrderLots(), 8);
      row += "\t" + OrderSymbol() + "\t" + OrderComment() + "\t" + Text(OrderOpenPrice(), 8);
      row += "\t" + Utc(OrderOpenTime()) + "\t" + (string)OrderMagicNumber() + "\t" + Text(OrderCommission(), 2);
      rows += row + "\n";
     }
   return(rows);
  }

// The server's clock is the broker's; its offset is what it is now.
string Utc(datetime at)
  {
   long offset = (long)MathRound((double)((long)TimeCurrent() - (long)TimeGMT()) / 1800.0) * 1800;
   return((string)(((long)at - offset) * 1000));
  }

string Text(double number, int digits) { return(DoubleToString(number, digits)); }
